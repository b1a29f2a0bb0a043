package mirrortest

import (
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// query is a valid request.
type query struct {
	link   string
	topics []string // selected or read, in the order of the answer

	// For a request that changes something.
	verb         mirror.Verb
	validateOnly bool
	partitions   bool // whether to report the truncation of each partition

	// For a request that reads.
	reads          string // one of the constants
	group          string
	reasons, tasks bool // whether to include these
	status         mirror.Status
}

// The values of reads.
const (
	readLink    = ""
	readConfigs = "/configs"
	readMirrors = "/mirrors"
	readMirror  = "/mirrors/"
	readGroup   = "group"
)

// paths matches the path of each operation after the prefix. The groups are the cluster, the link, the part of the
// link to read, the mirror topic, the verb, and the consumer group.
var paths = regexp.MustCompile(`^/v3/clusters/([^/]+)/(?:` +
	`links/([^/]+)(?:(|/configs|/mirrors)|/mirrors/([^/]+)|/mirrors:([a-z-]+))|consumer-groups/([^/]+))$`)

// prefix returns the beginning of all paths.
func (c *Cluster) prefix() string {
	return strings.TrimSuffix(cmp.Or(c.pair.opts.PathPrefix, "/kafka"), "/")
}

// read parses the request, or returns why the request is refused. The pair's mu is held.
func (c *Cluster) read(r *http.Request, body []byte) (query, *response) {
	path, ours := strings.CutPrefix(r.URL.EscapedPath(), c.prefix())
	parts := paths.FindStringSubmatch(path)
	if !ours || parts == nil {
		return query{}, failure(http.StatusNotFound, 404, "HTTP 404 Not Found")
	}
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i]) // net/http has checked the escapes
	}
	q := query{link: parts[2], reads: parts[3], verb: mirror.Verb(parts[5]), group: parts[6]}
	_, known := transitions[q.verb]
	method := http.MethodGet
	if q.verb != "" {
		method = http.MethodPost
	}
	switch {
	case parts[1] != c.ID || q.verb != "" && !known:
		return query{}, failure(http.StatusNotFound, 404, "HTTP 404 Not Found")
	case r.Method != method:
		return query{}, failure(http.StatusMethodNotAllowed, 405, "HTTP 405 Method Not Allowed")
	case q.group != "":
		q.reads = readGroup
		return q, nil
	case !slices.Contains(c.pair.links, q.link):
		return query{}, failure(http.StatusNotFound, 404, "The cluster link doesn't exist: %s", q.link)
	case q.verb != "":
		return c.readChange(r, body, q)
	case parts[4] != "":
		q.reads, q.topics = readMirror, []string{parts[4]}
	case q.reads == readMirrors:
		q.topics = c.names(q.link)
	}
	flags := r.URL.Query()
	q.reasons, q.tasks = flags.Get("include_state_transition_errors") == "true", flags.Get("include_tasks") == "true"
	q.status = mirror.Status(flags.Get("mirror_status"))
	return q, nil
}

// readChange parses the flags and the body of a request that changes something.
func (c *Cluster) readChange(r *http.Request, body []byte, q query) (query, *response) {
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
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return query{}, failure(http.StatusUnsupportedMediaType, 415, "HTTP 415 Unsupported Media Type")
	}
	var data struct {
		Names   []string `json:"mirror_topic_names"`
		Pattern *string  `json:"mirror_topic_name_pattern"`
	}
	if err := json.Unmarshal(body, &data); err != nil {
		return query{}, failure(http.StatusBadRequest, 400, "Cannot deserialize the body: %v", err)
	}
	const either = "one of mirror_topic_names and mirror_topic_name_pattern"
	switch byName := len(data.Names) > 0; {
	case byName && data.Pattern != nil:
		return query{}, failure(http.StatusBadRequest, 400, "Only "+either+" may be given")
	case !byName && data.Pattern == nil:
		return query{}, failure(http.StatusBadRequest, 400, "Just "+either+" must be given")
	case byName:
		seen := map[string]bool{}
		for _, name := range data.Names {
			if !seen[name] {
				q.topics = append(q.topics, name)
			}
			seen[name] = true
		}
		return q, nil
	}
	re, err := compile(*data.Pattern)
	if err != nil {
		return query{}, failure(http.StatusBadRequest, 400, "%v", err)
	}
	for _, name := range c.names(q.link) {
		if re.MatchString(name) {
			q.topics = append(q.topics, name)
		}
	}
	return q, nil
}
