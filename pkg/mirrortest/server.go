package mirrortest

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

const maxBody = 16 << 20

// ServeHTTP answers one request, as the real server would as far as that is known.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off: there is no request
	}
	a, fault, topics := c.answer(r, body)
	if a.over {
		defer c.limits.letThrough(w.Header())()
	}
	c.takeTime(topics)
	var do *Action
	if fault != nil {
		do = &fault.Do
	}
	w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
	r.Body = io.NopCloser(bytes.NewReader(body)) // for a handler that was injected
	a.send(w, r, do)
}

// answer does what the request asks for, with the fault that acts on it, and notes it in the
// journal. All of it happens at one moment, as far as anybody can see.
func (c *Cluster) answer(r *http.Request, body []byte) (a response, fault *Fault, topics int) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	entry := Request{
		Cluster: c.ID, At: time.Now(), Method: r.Method, URI: r.RequestURI,
		Header: redacted(r.Header), Body: string(body),
	}
	defer func() {
		entry.HTTPStatus = a.status
		switch {
		case fault == nil || fault.Do.onRow():
		case fault.Do.kind == doReject:
			entry.HTTPStatus = http.StatusTooManyRequests
		default:
			entry.HTTPStatus = fault.Do.answer.status
		}
		c.pair.journal = append(c.pair.journal, entry)
	}()

	if refused := c.authenticate(r.Header); refused != nil {
		return *refused, nil, 0
	}
	over := c.limits.over(r, time.Now())
	if rate := c.limits.rate; over && rate.Mode == RateReject {
		return rejected(r, !rate.NoHeader), nil, 0
	}
	defer func() { a.over = over }()
	q, refused := c.read(r, body)
	fault = c.trigger(q, r.Method == http.MethodGet)
	if refused != nil {
		return *refused, fault, 0
	}
	if r.Method == http.MethodGet {
		return c.tell(q, fault), fault, 0
	}
	entry.Verb, entry.ValidateOnly, entry.Topics = q.verb, q.validateOnly, q.topics
	a, entry.Applied = c.alter(q, fault)
	return a, fault, len(q.topics)
}

// takeTime lets the time pass that Options say an answer about so many topics takes. What it changed
// is changed already.
func (c *Cluster) takeTime(topics int) {
	o := c.pair.opts
	if work := time.Duration(topics) * o.PerTopic; work > 0 {
		c.busy <- struct{}{}
		time.Sleep(work)
		<-c.busy
	}
	latency := o.Latency[0]
	if spread := o.Latency[1] - o.Latency[0]; spread > 0 {
		c.pair.mu.Lock()
		latency += time.Duration(c.draw.Int64N(int64(spread)))
		c.pair.mu.Unlock()
	}
	if latency > 0 {
		time.Sleep(latency)
	}
}

func redacted(h http.Header) http.Header {
	h = h.Clone()
	for i, value := range h["Authorization"] {
		scheme, _, _ := strings.Cut(value, " ")
		h["Authorization"][i] = scheme + " (redacted)"
	}
	return h
}

// authenticate checks the credential; nil lets the request in.
func (c *Cluster) authenticate(h http.Header) *response {
	scheme, value, _ := strings.Cut(h.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		r := http.Request{Header: h}
		key, secret, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(secret), []byte(c.secret())) == 1 {
			switch key {
			case c.key():
				return nil
			case "forbidden-key":
				a := errorAnswer(http.StatusForbidden, 40301, "Authorization failed")
				return &a
			}
		}
	case strings.EqualFold(scheme, "Bearer"):
		if pool, known := c.tokens[value]; known && (pool == "" || pool == h.Get("Confluent-Identity-Pool-Id")) {
			return nil
		}
	}
	if c.pair.opts.NoCredential {
		return nil
	}
	a := errorAnswer(http.StatusUnauthorized, 40101, "Authentication failed")
	return &a
}

// query is a request that could be read.
type query struct {
	verb         mirror.Verb
	validateOnly bool
	partitions   bool     // whether to say what is cut off each partition
	topics       []string // selected, in the order of the answer

	// Of a request that reads.
	reads          string // the path after the link; "/mirrors/" for one mirror topic
	reasons, tasks bool   // whether to say them
	status         mirror.Status
}

// operationPath is the path of an operation after the prefix: cluster, link and verb.
var operationPath = regexp.MustCompile(`^/v3/clusters/([^/]+)/links/([^/]+)/mirrors:([a-z-]+)$`)

// prefix is what the paths begin with.
func (c *Cluster) prefix() string {
	return strings.TrimSuffix(cmp.Or(c.pair.opts.PathPrefix, "/kafka"), "/")
}

// isVerb tells whether a path names a verb.
func isVerb(name string) bool {
	v, err := mirror.ParseVerb(name)
	return err == nil && string(v) == name
}

// read makes out what the request asks for, or why it is refused. The pair's mu is held.
func (c *Cluster) read(r *http.Request, body []byte) (query, *response) {
	path, ours := strings.CutPrefix(r.URL.EscapedPath(), c.prefix())
	if ours && readPath.MatchString(path) {
		return c.readable(r, path)
	}
	parts := operationPath.FindStringSubmatch(path)
	switch {
	case !ours || parts == nil || parts[1] != url.PathEscape(c.ID),
		!isVerb(parts[3]):
		return query{}, failure(http.StatusNotFound, 404, "HTTP 404 Not Found")
	case r.Method != http.MethodPost:
		return query{}, failure(http.StatusMethodNotAllowed, 405, "HTTP 405 Method Not Allowed")
	case parts[2] != url.PathEscape(c.pair.link):
		return query{}, noLink(parts[2])
	}
	q := query{verb: mirror.Verb(parts[3])}
	for name, flag := range map[string]*bool{
		"validate_only": &q.validateOnly, "include_partition_level_truncation_data": &q.partitions,
	} {
		switch v := r.URL.Query().Get(name); v {
		case "true", "false", "":
			*flag = v == "true"
		default:
			return query{}, failure(http.StatusBadRequest, 400, "%s is not a boolean: '%s'", name, v)
		}
	}
	var data gen.AlterMirrorsRequestData
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return query{}, failure(http.StatusUnsupportedMediaType, 415, "HTTP 415 Unsupported Media Type")
	}
	if err := json.Unmarshal(body, &data); err != nil {
		return query{}, failure(http.StatusBadRequest, 400, "Cannot deserialize the body: %v", err)
	}
	byName, byPattern := len(data.MirrorTopicNames) > 0, data.MirrorTopicNamePattern != nil
	switch {
	case byName && byPattern:
		return query{}, failure(
			http.StatusBadRequest, 400, "Only one of mirror_topic_names and mirror_topic_name_pattern may be given",
		)
	case !byName && !byPattern:
		return query{}, failure(
			http.StatusBadRequest, 400, "One of mirror_topic_names and mirror_topic_name_pattern must be given",
		)
	}
	for _, name := range data.MirrorTopicNames {
		if !slices.Contains(q.topics, name) {
			q.topics = append(q.topics, name)
		}
	}
	if byPattern {
		re, err := compile(*data.MirrorTopicNamePattern)
		if err != nil {
			return query{}, failure(http.StatusBadRequest, 400, "%v", err)
		}
		for _, name := range c.names() {
			if re.MatchString(name) {
				q.topics = append(q.topics, name)
			}
		}
	}
	return q, nil
}

// alter changes the selected topics that it can and may, and answers with a row for each. The
// pair's mu is held.
func (c *Cluster) alter(q query, fault *Fault) (a response, applied []string) {
	rows := [][]byte{}
	topics := slices.Clone(q.topics)
	if c.pair.opts.Shuffle {
		c.draw.Shuffle(len(topics), func(i, j int) { topics[i], topics[j] = topics[j], topics[i] })
	}
	for _, name := range topics {
		row := c.row(q, name)
		spared := fault != nil && !fault.AfterApply && (!fault.Do.onRow() || fault.Topic == name)
		if t := c.topics[name]; t != nil && !q.validateOnly && !spared {
			t.requests[q.verb]++
			if row.ErrorCode == nil {
				c.apply(q.verb, name)
				applied = append(applied, name)
			}
		}
		text := mustJSON(row)
		if c.pair.opts.NoTruncationData {
			text = withoutTruncationData(text)
		}
		if fault != nil && fault.Topic == name {
			switch fault.Do.kind {
			case doRow:
				text = []byte(fault.Do.row)
			case doLeaveOut:
				continue
			}
		}
		rows = append(rows, text)
	}
	return c.list("KafkaAlterMirrorsDataList", "/mirrors", rows), applied
}

// row is the answer's row for a topic as it is before anything is done to it. The pair's mu is held.
func (c *Cluster) row(q query, name string) gen.AlterMirrorStatusResponseData {
	notApplicable := int64(-1)
	crn := "crn:///kafka=" + c.ID
	row := gen.AlterMirrorStatusResponseData{
		Kind: "AlterMirrorsData",
		Metadata: gen.ResourceMetadata{
			Self: c.self() + "/mirrors/" + url.PathEscape(name), ResourceName: &crn,
		},
		MirrorTopicName:              name,
		MirrorLags:                   gen.MirrorLags{},
		MessagesTruncated:            &notApplicable,
		PartitionLevelTruncationData: &gen.PartitionLevelTruncationDataList{},
	}
	if no := c.refuse(q.verb, name); no != nil {
		row.ErrorCode, row.ErrorMessage = &no.code, &no.message
	} else if transitions[q.verb].restores {
		c.truncation(name, q.partitions, &row)
	}
	if t := c.topics[name]; t != nil {
		for i, p := range t.partitions {
			row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{
				Partition: i, Lag: p.Lag, LastSourceFetchOffset: p.LastSourceFetchOffset,
			})
		}
	}
	return row
}

// truncation fills in what is cut off a topic to restore it. The pair's mu is held.
func (c *Cluster) truncation(name string, partitions bool, row *gen.AlterMirrorStatusResponseData) {
	here, there := c.topics[name], c.peer.topics[name]
	list, total := gen.PartitionLevelTruncationDataList{}, int64(0)
	for i := range here.partitions {
		cut := gen.PartitionLevelTruncationData{
			PartitionID: i, OffsetTruncatedTo: max(0, there.partitions[i].LastSourceFetchOffset),
		}
		if i < len(here.ahead) {
			cut.MessagesTruncated = here.ahead[i]
		}
		total += cut.MessagesTruncated
		list = append(list, cut)
	}
	row.MessagesTruncated = &total
	if partitions {
		row.PartitionLevelTruncationData = &list
	}
}

// withoutTruncationData leaves out of a row what older servers do not send.
func withoutTruncationData(row []byte) []byte {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(row, &members); err != nil {
		panic(err) // the row was made here
	}
	delete(members, "messages_truncated")
	delete(members, "partition_level_truncation_data")
	return mustJSON(members)
}

func errorAnswer(status, code int, message string) response {
	number := int32(code) //nolint:gosec // codes are five digits at most
	return jsonAnswer(status, mustJSON(gen.Error{ErrorCode: &number, Message: &message}))
}

func jsonAnswer(status int, body []byte) response {
	return response{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

// mustJSON encodes what the generated models hold, which cannot fail.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// wire returns the answer as it is on the wire.
func (a response) wire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	h := a.header.Clone()
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Connection", "close")
	_ = h.Write(&b) // memory does not fail
	b.WriteString("\r\n")
	b.Write(a.body)
	return b.Bytes()
}
