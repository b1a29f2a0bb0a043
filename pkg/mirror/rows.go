package mirror

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// This file is all that knows the generated code: how requests are made, and how the answers' rows are read.

const jsonType = "application/json"

// requestBody is the body of a verb's request: names or a pattern, never both.
func requestBody(b Batch) []byte {
	data := gen.UpdateKafkaMirrorTopicsReverseAndPauseMirrorJSONRequestBody{MirrorTopicNames: b.Topics}
	if b.Pattern != "" {
		data.MirrorTopicNamePattern = &b.Pattern
	}
	body, _ := json.Marshal(data) // texts always marshal
	return body
}

// newVerbRequest makes the request of a verb.
func newVerbRequest(v Verb, server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
	switch v {
	case VerbReverseAndPause:
		p := gen.UpdateKafkaMirrorTopicsReverseAndPauseMirrorParams{ValidateOnly: &dryRun}
		return gen.NewUpdateKafkaMirrorTopicsReverseAndPauseMirrorRequestWithBody(server, cluster, link, &p, jsonType, body)
	case VerbReverseAndStart:
		p := gen.UpdateKafkaMirrorTopicsReverseAndStartMirrorParams{ValidateOnly: &dryRun}
		return gen.NewUpdateKafkaMirrorTopicsReverseAndStartMirrorRequestWithBody(server, cluster, link, &p, jsonType, body)
	case VerbPromote:
		p := gen.UpdateKafkaMirrorTopicsPromoteParams{ValidateOnly: &dryRun}
		return gen.NewUpdateKafkaMirrorTopicsPromoteRequestWithBody(server, cluster, link, &p, jsonType, body)
	case VerbFailover:
		p := gen.UpdateKafkaMirrorTopicsFailoverParams{ValidateOnly: &dryRun}
		return gen.NewUpdateKafkaMirrorTopicsFailoverRequestWithBody(server, cluster, link, &p, jsonType, body)
	case VerbPause:
		p := gen.UpdateKafkaMirrorTopicsPauseParams{ValidateOnly: &dryRun}
		return gen.NewUpdateKafkaMirrorTopicsPauseRequestWithBody(server, cluster, link, &p, jsonType, body)
	case VerbResume:
		p := gen.UpdateKafkaMirrorTopicsResumeParams{ValidateOnly: &dryRun}
		return gen.NewUpdateKafkaMirrorTopicsResumeRequestWithBody(server, cluster, link, &p, jsonType, body)
	case VerbTruncateAndRestore:
		p := gen.UpdateKafkaMirrorTopicsTruncateAndRestoreMirrorParams{
			ValidateOnly: &dryRun, IncludePartitionLevelTruncationData: new(true),
		}
		return gen.NewUpdateKafkaMirrorTopicsTruncateAndRestoreMirrorRequestWithBody(server, cluster, link, &p, jsonType, body)
	}
	return nil, fmt.Errorf("%s has no request", v)
}

func newListRequest(server, cluster, link string) (*http.Request, error) {
	return gen.NewListKafkaMirrorTopicsUnderLinkRequest(server, cluster, link, &gen.ListKafkaMirrorTopicsUnderLinkParams{})
}

func newMirrorRequest(server, cluster, link, topic string) (*http.Request, error) {
	p := gen.ReadKafkaMirrorTopicParams{IncludeStateTransitionErrors: new(true)}
	return gen.NewReadKafkaMirrorTopicRequest(server, cluster, link, topic, &p)
}

func newLinkRequest(server, cluster, link string) (*http.Request, error) {
	return gen.NewGetKafkaLinkRequest(server, cluster, link, &gen.GetKafkaLinkParams{IncludeTasks: new(true)})
}

func newConfigsRequest(server, cluster, link string) (*http.Request, error) {
	return gen.NewListKafkaLinkConfigsRequest(server, cluster, link)
}

func newGroupRequest(server, cluster, group string) (*http.Request, error) {
	return gen.NewGetKafkaConsumerGroupRequest(server, cluster, group)
}

// maxValue bounds one value of an answer, in bytes: the decoder has to hold a row whole.
const maxValue = 16 << 20

// bounded is the body of an answer. It fails where more than maxValue bytes are wanted without a step.
type bounded struct {
	r          io.Reader
	read, last int64
}

func (b *bounded) Read(p []byte) (int, error) {
	room := maxValue - (b.read - b.last)
	if room <= 0 {
		return 0, fmt.Errorf("a value in it is longer than %d bytes", maxValue)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), room)])
	b.read += int64(n)
	return n, err
}

// walk goes through a JSON document, value by value. Members that are there twice and texts that are not UTF-8 do not end
// it: an error of the decoder would end the whole list.
type walk struct {
	in  *bounded
	dec *jsontext.Decoder
}

func newWalk(body io.Reader) *walk {
	in := &bounded{r: body}
	return &walk{in, jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
}

// each reads an object or an array to its end; element is called before each name or value, and must read or skip it.
func (w *walk) each(end jsontext.Kind, element func() error) error {
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	for w.dec.PeekKind() != end {
		w.in.last = w.dec.InputOffset()
		if err := element(); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// object reads an object; member is called before each value, and must read or skip it.
func (w *walk) object(member func(name string) error) error {
	return w.each('}', func() error {
		name, err := w.dec.ReadToken()
		if err != nil {
			return err
		}
		return member(name.String())
	})
}

// document reads a body that is one JSON object and nothing else.
func (w *walk) document(member func(name string) error) error {
	switch kind := w.dec.PeekKind(); kind {
	case '{':
	default:
		if err := w.dec.SkipValue(); errors.Is(err, io.EOF) {
			return errors.New("it is empty")
		} else if err != nil {
			return plain(err)
		}
		return errors.New("it is not a JSON object")
	}
	if err := w.object(member); err != nil {
		return plain(err)
	}
	switch _, err := w.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil || errors.As(err, new(*jsontext.SyntacticError)):
		return errors.New("it has bytes after its end")
	default:
		return err
	}
}

// plain returns an error of the decoder without the names of members, which it quotes.
func plain(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w, at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return err
}

// answer is what an answer holds beside its rows.
type answer struct {
	next     string   // metadata.next; "" if it is not set
	problems []string // what is wrong with it beside its rows
}

// readList reads a list and hands over each element of its data. The error is nil only if the body was one list, read to
// its end. Elements that were handed over before an error stand.
func readList(body io.Reader, s *wire.Secrets, element func(jsontext.Value)) (a answer, err error) {
	w := newWalk(body)
	missing := `it has no "data"`
	seen := false
	err = w.document(func(name string) error {
		switch {
		case name == "data" && w.dec.PeekKind() == '[':
			missing = ""
			if seen {
				missing = `it has "data" twice`
			}
			seen = true
			return w.each(']', func() error {
				v, err := w.dec.ReadValue()
				if err == nil {
					element(v)
				}
				return err
			})
		case name == "data":
			missing, seen = `its "data" is not an array`, true
		case name == "metadata" && w.dec.PeekKind() == '{':
			return w.object(func(name string) error {
				v, err := w.dec.ReadValue()
				if err != nil || name != "next" || v.Kind() == 'n' {
					return err
				}
				a.next = cmp.Or(a.next, s.Show(unquote(v), maxText)) // there twice, it is set if one of them is
				return nil
			})
		case name == "error_code" || name == "errors":
			v, err := w.dec.ReadValue()
			if said := string(v); err == nil && said != "null" && said != "0" && said != `""` && said != "[]" {
				a.problems = append(a.problems, "the answer has an error beside its rows: "+name)
			}
			return err
		}
		return w.dec.SkipValue()
	})
	if err == nil && missing != "" {
		err = errors.New(missing)
	}
	if a.next != "" {
		a.problems = append(a.problems, "the answer goes on at "+text.Quote(a.next)+", so rows are missing")
	}
	return a, err
}

// unquote returns the text of a JSON string, and of another value the value itself.
func unquote(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	t, _ := jsontext.AppendUnquote(nil, v)
	return string(t)
}

// readAnswer reads the answer to a verb, and hands over each row as soon as it is read.
func readAnswer(body io.Reader, s *wire.Secrets, add func(row)) (answer, error) {
	return readList(body, s, func(v jsontext.Value) { add(readRow(v, s)) })
}

// row is one element of the answer to a verb. Its Topic is "" if no name can be read.
type row struct{ Result }

// The generated types of what is read come from the operations' answers: a schema may have another name one day.
var (
	verbRows   = zero(gen.UpdateKafkaMirrorTopicsReverseAndPauseMirrorResponse{}.JSON200).Data
	mirrorRows = zero(gen.ListKafkaMirrorTopicsUnderLinkResponse{}.JSON200).Data
	linkData   = zero(gen.GetKafkaLinkResponse{}.JSON200)
)

func zero[T any](*T) (z T) { return z }

// verbRow is a row as the contract has it, but for the members that decide, which are kept as they stand, and for the
// lags and truncations, of which a number that cannot be read costs only that number.
type verbRow[R any] struct {
	Row          R              `json:",embed"`
	ErrorCode    jsontext.Value `json:"error_code"`
	ErrorMessage jsontext.Value `json:"error_message"`
	MirrorLags   []lag          `json:"mirror_lags"`
	Truncations  []truncation   `json:"partition_level_truncation_data"`
}

func newVerbRow[R any]([]R) (r verbRow[R]) { return r }

// readRow reads a row of the answer to a verb. If the row is not as the contract has it, name, code and message are read
// alone, and they alone decide.
func readRow(v jsontext.Value, s *wire.Secrets) row {
	r := row{Result{MessagesTruncated: -1}}
	in := newVerbRow(verbRows)
	if err := jsonv2.Unmarshal(v, &in); err != nil {
		m := membersOf(v, "mirror_topic_name", "error_code", "error_message")
		in = newVerbRow(verbRows)
		in.ErrorCode, in.ErrorMessage = m["error_code"], m["error_message"]
		in.Row.MirrorTopicName = legible(m["mirror_topic_name"])
		r.note("the row is not as the contract has it: its lags and truncations were not read")
	}
	r.Topic = in.Row.MirrorTopicName
	r.Lags = slices.Grow(r.Lags, len(in.MirrorLags))
	for _, l := range in.MirrorLags {
		r.Lags = append(r.Lags, PartitionLag(l))
	}
	r.Truncations = slices.Grow(r.Truncations, len(in.Truncations))
	for _, t := range in.Truncations {
		r.Truncations = append(r.Truncations, PartitionTruncation(t))
	}
	if n := in.Row.MessagesTruncated; n != nil {
		r.MessagesTruncated = max(-1, *n)
	}
	r.decide(in.ErrorCode, in.ErrorMessage, s)
	return r
}

// decide gives the row its outcome. Code and message alone decide: either is set, or null, 0 or "", or absent, or cannot
// be read.
func (r *row) decide(code, message jsontext.Value, s *wire.Secrets) {
	n, err := strconv.ParseInt(string(code), 10, 32)
	codeUnset := code.Kind() == 'n' || err == nil && n == 0
	messageUnset := message.Kind() == 'n' || string(message) == `""`
	if err == nil {
		r.Code = int(n)
	}
	if message.Kind() == '"' {
		r.Message = s.Show(unquote(message), maxText)
	}
	switch {
	case r.Code != 0 || r.Message != "":
		r.Outcome = Failed
	case code != nil && !codeUnset:
		r.Why = "the row's error_code cannot be read"
	case message != nil && !messageUnset:
		r.Why = "the row's error_message cannot be read"
	case code == nil && message == nil:
		r.Why = "the row has neither error_code nor error_message"
	default:
		r.Outcome = Accepted
	}
}

// membersOf reads members of an object alone. One that is there twice is an empty array, which no member is.
func membersOf(v jsontext.Value, names ...string) map[string]jsontext.Value {
	members := map[string]jsontext.Value{}
	if v.Kind() != '{' {
		return members
	}
	w := newWalk(bytes.NewReader(v))
	_ = w.object(func(name string) error { // v was read before: it is well-formed
		value, err := w.dec.ReadValue()
		if _, twice := members[name]; twice {
			value = jsontext.Value("[]")
		}
		if slices.Contains(names, name) {
			members[name] = value.Clone()
		}
		return err
	})
	return members
}

// legible returns the text of a JSON string that is UTF-8; "" if it is none.
func legible(v jsontext.Value) (t string) {
	if jsonv2.Unmarshal(v, &t) != nil {
		return ""
	}
	return t
}

// number is a whole number of 64 bits. One that cannot be read is -1.
type number int64

// UnmarshalJSONFrom reads any value.
func (n *number) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	*n = numberOf(v)
	return err
}

func numberOf(v jsontext.Value) number {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return number(n)
}

// lag is the lag of one partition.
type lag PartitionLag

// UnmarshalJSONFrom reads any value.
func (l *lag) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	n, err := numbersOf(dec, `"partition"`, `"lag"`, `"last_source_fetch_offset"`)
	*l = lag{int(min(n[0], 1<<31-1)), n[1], n[2]}
	return err
}

// truncation is the truncation of one partition.
type truncation PartitionTruncation

// UnmarshalJSONFrom reads any value.
func (t *truncation) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	n, err := numbersOf(dec, `"partition_id"`, `"offset_truncated_to"`, `"messages_truncated"`)
	*t = truncation{int(min(n[0], 1<<31-1)), n[1], n[2]}
	return err
}

// numbersOf reads any value. If the value is an object, numbersOf returns the numbers of the members with these names, which
// are in quotes. A number that is not there, or cannot be read, is -1.
func numbersOf(dec *jsontext.Decoder, names ...string) (numbers [3]int64, err error) {
	numbers = [3]int64{-1, -1, -1}
	if dec.PeekKind() != '{' {
		return numbers, dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return numbers, err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return numbers, err
		}
		i := 0
		for i < len(names) && string(name) != names[i] {
			i++
		}
		v, err := dec.ReadValue()
		if err != nil {
			return numbers, err
		}
		if i < len(names) {
			numbers[i] = int64(numberOf(v))
		}
	}
	_, err = dec.ReadToken()
	return numbers, err
}

// mirrorRow is a mirror topic as the contract has it, but for its numbers: one that cannot be read costs only itself.
type mirrorRow[R any] struct {
	Row           R        `json:",embed"`
	MirrorLags    []lag    `json:"mirror_lags"`
	NumPartitions number   `json:"num_partitions"`
	StateTimeMs   number   `json:"state_time_ms"`
	Reasons       []reason `json:"mirror_state_transition_errors"`
}

func newMirrorRow[R any]([]R) mirrorRow[R] { return mirrorRow[R]{NumPartitions: -1, StateTimeMs: -1} }

// reason is why something did not succeed.
type reason struct {
	Code    string `json:"error_code"`
	Message string `json:"error_message"`
}

// readMirror reads one mirror topic of the link. Odd says what is wrong with it; the mirror is of use if it has a Topic.
func readMirror(v jsontext.Value, link string, s *wire.Secrets) (m Mirror, odd string) {
	in := newMirrorRow(mirrorRows)
	if err := jsonv2.Unmarshal(v, &in); err != nil {
		r := membersOf(v, "mirror_topic_name", "mirror_status", "link_name")
		in = newMirrorRow(mirrorRows)
		in.MirrorLags = []lag{{-1, -1, -1}}
		in.Row.MirrorTopicName, in.Row.LinkName = legible(r["mirror_topic_name"]), legible(r["link_name"])
		_ = jsonv2.Unmarshal(r["mirror_status"], &in.Row.MirrorStatus) // it stays empty
	}
	data := &in.Row
	switch {
	case !isTopicName(data.MirrorTopicName):
		return m, "a row has no topic name that can be read"
	case data.LinkName != link:
		return m, "the row of " + s.Hide(data.MirrorTopicName) + " is of another link, " + text.Quote(s.Hide(data.LinkName))
	case data.MirrorStatus == "":
		odd = "the row of " + s.Hide(data.MirrorTopicName) + " has no status that can be read"
	}
	m = Mirror{
		Topic: data.MirrorTopicName, Source: s.Show(data.SourceTopicName, maxText),
		Status:     Status(s.Show(string(data.MirrorStatus), maxText)), //nolint:unconvert // regenerating may change the type
		Partitions: int(min(in.NumPartitions, 1<<31-1)),
	}
	if ms := in.StateTimeMs; ms > 0 && ms <= lastMillisecond {
		m.Since = time.UnixMilli(int64(ms)).UTC()
	}
	if e := data.MirrorTopicError; e != nil && *e != "NO_ERROR" && *e != "NOT_SET" {
		m.Error = s.Show(string(*e), maxText) //nolint:unconvert // regenerating may change the type
	}
	m.Lags = slices.Grow(m.Lags, len(in.MirrorLags))
	for _, l := range in.MirrorLags {
		m.Lags = append(m.Lags, PartitionLag(l))
	}
	m.Reasons = shown(in.Reasons, s)
	return m, odd
}

// lastMillisecond is the last of the year 9999: later times have no text form.
const lastMillisecond = 253402300799999

// shown takes over why something did not succeed, at most 100 reasons.
func shown(reasons []reason, s *wire.Secrets) (all []Reason) {
	for _, r := range reasons[:min(len(reasons), 100)] {
		all = append(all, Reason{Code: s.Show(r.Code, maxText), Message: s.Show(r.Message, maxText)})
	}
	return all
}

// readObject reads a body that is one object, and hands it over.
func readObject(body io.Reader, object func(jsontext.Value) error) error {
	w := newWalk(body)
	if w.dec.PeekKind() != '{' {
		return w.document(nil)
	}
	v, err := w.dec.ReadValue()
	if err != nil {
		return plain(err)
	}
	if err := object(v); err != nil {
		return err
	}
	if _, err := w.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("it has bytes after its end")
	}
	return nil
}

// linkRow is a link as the contract has it, but for its tasks.
type linkRow[R any] struct {
	Row       R              `json:",embed"`
	ErrorCode jsontext.Value `json:"error_code"`
	Tasks     []struct {
		Name   string   `json:"task_name"`
		State  string   `json:"state"`
		Errors []reason `json:"errors"`
	} `json:"tasks"`
}

func newLinkRow[R any](R) (r linkRow[R]) { return r }

// readLink reads a link into info.
func readLink(v jsontext.Value, info *LinkInfo, s *wire.Secrets) error {
	in := newLinkRow(linkData)
	if err := jsonv2.Unmarshal(v, &in); err != nil {
		return errors.New("it is not as the contract has it") // the decoder's own text may quote anything
	}
	data := &in.Row
	if code := string(in.ErrorCode); code != "" && code != "null" && code != "0" {
		return errors.New("it has an error_code")
	}
	if data.LinkName != info.Name {
		return errors.New("it is about the link " + text.Quote(s.Hide(data.LinkName)))
	}
	first := func(texts ...*string) string {
		for _, t := range texts {
			if t != nil && *t != "" {
				return s.Show(*t, maxText)
			}
		}
		return ""
	}
	info.RemoteClusterID = first(data.RemoteClusterID, data.SourceClusterID, data.DestinationClusterID)
	info.ID, info.State = first(&data.ClusterLinkID), first(data.LinkState)
	info.Error, info.ErrorMessage = first(data.LinkError), first(data.LinkErrorMessage)
	if info.Error == "NO_ERROR" {
		info.Error = ""
	}
	for _, t := range in.Tasks[:min(len(in.Tasks), 100)] {
		info.Tasks = append(info.Tasks, LinkTask{
			Name: s.Show(t.Name, maxText), State: s.Show(t.State, maxText), Errors: shown(t.Errors, s),
		})
	}
	return nil
}

// readConfigs takes over the configs of a link that info has a member for.
func readConfigs(body io.Reader, info *LinkInfo, s *wire.Secrets) error {
	wanted := map[string]*string{
		"link.mode": &info.Mode, "cluster.link.prefix": &info.Prefix,
		"consumer.offset.sync.enable": &info.OffsetSync, "consumer.offset.sync.ms": &info.OffsetSyncInterval,
		"consumer.offset.group.filters": &info.OffsetSyncFilter, "acl.sync.enable": &info.ACLSync,
		"auto.create.mirror.topics.enable": &info.AutoCreate,
	}
	var odd error
	a, err := readList(body, s, func(v jsontext.Value) {
		m := membersOf(v, "name", "value", "link_name")
		into := wanted[legible(m["name"])]
		if into == nil {
			return
		}
		if link := m["link_name"]; link != nil && legible(link) != info.Name {
			odd = errors.New("a config is of another link")
			return
		}
		if value := m["value"]; value.Kind() != 'n' && value.Kind() != '"' {
			odd = errors.New("the value of " + legible(m["name"]) + " cannot be read")
		} else if value.Kind() == '"' { // null although the contract says a text: observed
			*into = s.Show(unquote(value), maxText)
		}
	})
	if err == nil && len(a.problems) > 0 {
		err = errors.New(a.problems[0])
	}
	return cmp.Or(err, odd)
}
