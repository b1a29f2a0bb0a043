package mirror

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// Only this file knows the generated code. It makes the requests and reads the answers' rows.

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
	p := gen.ListKafkaMirrorTopicsUnderLinkParams{}
	return gen.NewListKafkaMirrorTopicsUnderLinkRequest(server, cluster, link, &p)
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

// readAnswer reads the answer to a verb and calls add for each row. Topic is "" if the row has no readable name.
func readAnswer(body io.Reader, s *wire.Secrets, add func(Result)) (answer, error) {
	return readList(body, s, func(v jsontext.Value) { add(readRow(v, s)) })
}

// The generated types come from the operations' answers, since a schema may be renamed.
var (
	verbRows   = zero(gen.UpdateKafkaMirrorTopicsReverseAndPauseMirrorResponse{}.JSON200).Data
	mirrorRows = zero(gen.ListKafkaMirrorTopicsUnderLinkResponse{}.JSON200).Data
	linkData   = zero(gen.GetKafkaLinkResponse{}.JSON200)
)

func zero[T any](*T) (z T) { return z }

// verbRow is a row of the contract's type. The members that decide are kept raw. In lags and truncations an unreadable
// number costs only itself.
type verbRow[R any] struct {
	Row          R              `json:",embed"`
	ErrorCode    jsontext.Value `json:"error_code"`
	ErrorMessage jsontext.Value `json:"error_message"`
	MirrorLags   []PartitionLag `json:"mirror_lags"`

	Truncations []PartitionTruncation `json:"partition_level_truncation_data"`
}

func newVerbRow[R any]([]R) (r verbRow[R]) { return r }

// readRow reads a row of the answer to a verb. If the row does not fit the contract, only name, code and message are
// read, and code and message alone decide.
func readRow(v jsontext.Value, s *wire.Secrets) Result {
	r := Result{MessagesTruncated: -1}
	in := newVerbRow(verbRows)
	if err := jsonv2.Unmarshal(v, &in, byNumber); err != nil {
		m := membersOf(v, "mirror_topic_name", "error_code", "error_message")
		in = newVerbRow(verbRows)
		in.ErrorCode, in.ErrorMessage = m["error_code"], m["error_message"]
		in.Row.MirrorTopicName = legible(m["mirror_topic_name"])
		r.note("the row is not as the contract has it: its lags and truncations were not read")
	}
	r.Topic = in.Row.MirrorTopicName
	r.Lags = append(r.Lags, in.MirrorLags...) // no lags are nil
	r.Truncations = append(r.Truncations, in.Truncations...)
	if n := in.Row.MessagesTruncated; n != nil {
		r.MessagesTruncated = max(-1, *n)
	}
	r.decide(in.ErrorCode, in.ErrorMessage, s)
	return r
}

// decide gives a row its outcome by code and message alone. Either may be set, unset (null, 0 or ""), absent or
// unreadable.
func (r *Result) decide(code, message jsontext.Value, s *wire.Secrets) {
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

// byNumber reads lags and truncations of partitions, whatever the value.
var byNumber = jsonv2.WithUnmarshalers(jsonv2.JoinUnmarshalers(
	jsonv2.UnmarshalFromFunc(func(dec *jsontext.Decoder, l *PartitionLag) error {
		n, err := numbersOf(dec, `"partition"`, `"lag"`, `"last_source_fetch_offset"`)
		*l = PartitionLag{int(min(n[0], 1<<31-1)), n[1], n[2]}
		return err
	}),
	jsonv2.UnmarshalFromFunc(func(dec *jsontext.Decoder, t *PartitionTruncation) error {
		n, err := numbersOf(dec, `"partition_id"`, `"offset_truncated_to"`, `"messages_truncated"`)
		*t = PartitionTruncation{int(min(n[0], 1<<31-1)), n[1], n[2]}
		return err
	}),
))

// mirrorRow is a mirror topic of the contract's type. An unreadable number costs only itself.
type mirrorRow[R any] struct {
	Row           R              `json:",embed"`
	MirrorLags    []PartitionLag `json:"mirror_lags"`
	NumPartitions number         `json:"num_partitions"`
	StateTimeMs   number         `json:"state_time_ms"`
	Reasons       []reason       `json:"mirror_state_transition_errors"`
}

func newMirrorRow[R any]([]R) mirrorRow[R] { return mirrorRow[R]{NumPartitions: -1, StateTimeMs: -1} }

// reason is why a change or a task did not succeed.
type reason struct {
	Code    string `json:"error_code"`
	Message string `json:"error_message"`
}

// readMirror reads a mirror topic of the link. odd says what is wrong; the mirror is usable if Topic is set.
func readMirror(v jsontext.Value, link string, s *wire.Secrets) (m Mirror, odd string) {
	in := newMirrorRow(mirrorRows)
	if err := jsonv2.Unmarshal(v, &in, byNumber); err != nil {
		r := membersOf(v, "mirror_topic_name", "mirror_status", "link_name")
		in = newMirrorRow(mirrorRows)
		in.MirrorLags = []PartitionLag{{-1, -1, -1}}
		in.Row.MirrorTopicName, in.Row.LinkName = legible(r["mirror_topic_name"]), legible(r["link_name"])
		_ = jsonv2.Unmarshal(r["mirror_status"], &in.Row.MirrorStatus) // it stays empty
	}
	data := &in.Row
	switch {
	case !isTopicName(data.MirrorTopicName):
		return m, "a row has no topic name that can be read"
	case data.LinkName != link:
		other := text.Quote(s.Hide(data.LinkName))
		return m, "the row of " + s.Hide(data.MirrorTopicName) + " is of another link, " + other
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
	m.Lags = append(m.Lags, in.MirrorLags...)
	m.Reasons = shown(in.Reasons, s)
	return m, odd
}

// lastMillisecond is the end of the year 9999: later times have no text form.
const lastMillisecond = 253402300799999

// shown returns at most 100 of the reasons, made printable.
func shown(reasons []reason, s *wire.Secrets) (all []Reason) {
	for _, r := range reasons[:min(len(reasons), 100)] {
		all = append(all, Reason{Code: s.Show(r.Code, maxText), Message: s.Show(r.Message, maxText)})
	}
	return all
}

// linkRow is a link of the contract's type, except for its tasks.
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
		return errors.New("it is not as the contract has it") // the decoder's own text may quote any value
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

// readConfigs reads the link's configs that have a field in info.
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
		} else if value.Kind() == '"' { // null is observed, although the contract says string
			*into = s.Show(unquote(value), maxText)
		}
	})
	if err == nil && len(a.problems) > 0 {
		err = errors.New(a.problems[0])
	}
	return cmp.Or(err, odd)
}
