package mirror

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"html"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/gen"
	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// maxErrorPage bounds what is read of an error page, in bytes. A message can list every topic of the
// request.
const maxErrorPage = 1 << 20

// page is the body of a response that is not a readable 200.
type page struct {
	status    int
	mediaType string
	// contentType is the header that the media type was read from, in lower case.
	contentType string
	text        []byte
	cut         bool   // it was not read to its end
	whole       bool   // it was, and can be read
	coding      string // the Content-Encoding that could not be undone; "" if there is none
}

// readPage reads an error page as far as its bound.
func readPage(resp *http.Response, body io.Reader, hide *redactor) page {
	p := page{status: resp.StatusCode}
	p.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	p.contentType = strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Type")))
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return p // what follows is not a body
	}
	p.coding = contentCoding(resp.Header, hide)
	text, err := io.ReadAll(io.LimitReader(body, maxErrorPage+1))
	p.cut = err != nil || len(text) > maxErrorPage
	p.whole = !p.cut && p.coding == ""
	p.text = text[:min(len(text), maxErrorPage)]
	return p
}

// isHTML tells whether the page is HTML, or XML, by its type or by how it begins.
func (p page) isHTML() bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(p.text, []byte("\ufeff")), " \t\r\n")
	return strings.HasPrefix(p.contentType, "text/html") || p.mediaType == "application/xhtml+xml" ||
		bytes.HasPrefix(text, []byte("<"))
}

// object returns the members of a page that is exactly one JSON object of the proper type: no bytes
// beside it, no member twice, nothing cut off. Names are told apart by case, as JSON does.
func (p page) object() (members map[string]jsontext.Value, ok bool) {
	text := jsontext.Value(p.text)
	if !p.whole || p.mediaType != jsonType || !text.IsValid() || text.Kind() != '{' { // a member twice is not valid
		return nil, false
	}
	err := json.Unmarshal(text, &members)
	return members, err == nil
}

// hasCodesWithout40002 tells whether the page has an error code, each of its codes can be read for
// certain, and none is 40002, which could stand behind anything else.
func (p page) hasCodesWithout40002() bool {
	page, ok := p.object()
	if !ok || mentions40002(p.text) {
		return false
	}
	legible, some := codes(page)
	if list, has := page["errors"]; has {
		var elements []map[string]jsontext.Value
		if err := json.Unmarshal(list, &elements); err != nil {
			return false
		}
		for _, element := range elements {
			elementLegible, elementSome := codes(element)
			legible, some = legible && elementLegible && elementSome, true
		}
	}
	return legible && some
}

// mentions40002 tells whether 40002 stands anywhere in a valid JSON document where it may be a code: as
// a value, or within one whose name has 'code' in it.
func mentions40002(text []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	inCode := false // the next value is a code, if it is not a list or an object
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return false
		}
		value := token.String()
		kind, length := dec.StackIndex(dec.StackDepth())
		if kind == '{' && length%2 == 1 && token.Kind() == '"' { // a name
			inCode = strings.Contains(strings.ToLower(value), "code")
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n == CodeUnknownServerError ||
			inCode && strings.Contains(value, strconv.Itoa(CodeUnknownServerError)) {
			return true
		}
	}
}

// codes tells whether the codes of an error, error_code as a number and code as text, can be read, and
// whether there is one. Numbers below 1 are no codes: -1 is Kafka's for an unknown error.
func codes(members map[string]jsontext.Value) (legible, some bool) {
	legible = true
	if v, has := members["error_code"]; has && v.Kind() != 'n' {
		n, err := strconv.ParseInt(string(v), 10, 32)
		legible, some = err == nil && n > 0, true
	}
	if v, has := members["code"]; has && v.Kind() != 'n' {
		text, isText := unquote(v)
		legible, some = legible && isText && strings.TrimSpace(text) != "", true
	}
	return legible, some
}

// jettys returns the text members of Jetty's error page for the status, as Jetty writes it where JSON
// is accepted; none if this is not one: message, url, the status as text, and no code.
func (p page) jettys() map[string]string {
	members, _ := p.object()
	texts := map[string]string{}
	for name, v := range members {
		if v.Kind() == '"' {
			texts[name], _ = unquote(v)
		}
	}
	_, message := texts["message"]
	_, kafkas := members["error_code"]
	_, clouds := members["code"]
	if !message || kafkas || clouds || !strings.HasPrefix(texts["url"], "/") || texts["status"] != strconv.Itoa(p.status) {
		return nil
	}
	return texts
}

// The marks of Jetty's pages in HTML.
var (
	jettys429    = regexp.MustCompile(`HTTP ERROR 429`)
	jettysURI    = regexp.MustCompile(`<th>URI:</th>\s*<td>[^<]*/v3/[^<]*</td>`)
	jettysBadMsg = regexp.MustCompile(`^\s*<h1>Bad Message 400</h1>`)
)

// isJettys429 tells whether the page is the one that Jetty writes for a request that its rate limiter
// rejects. Other code in Jetty could write it too.
func (p page) isJettys429() bool {
	return strings.Contains(p.jettys()["url"], "/v3/") ||
		p.whole && p.mediaType == "text/html" && jettys429.Match(p.text) && jettysURI.Match(p.text)
}

// isBadMessage tells whether the page is the one with which Jetty refuses what it cannot parse as
// HTTP, before any handler.
func (p page) isBadMessage() bool {
	for name, text := range p.jettys() {
		if name == "message" && strings.Contains(text, "Bad Message") ||
			strings.HasPrefix(name, "cause") && strings.Contains(text, "BadMessageException") {
			return true
		}
	}
	return p.whole && p.mediaType == "text/html" && jettysBadMsg.Match(p.text)
}

// apiError reads what the page says, for people. What cannot be read of it does not change what the
// status says.
func (p page) apiError(resp *http.Response, hide *redactor) *APIError {
	e := &APIError{
		Status:     resp.StatusCode,
		RequestID:  requestID(resp.Header, hide),
		RetryAfter: retryAfter(resp.StatusCode, resp.Header, time.Now()),
	}
	text := strings.TrimSpace(string(p.text))
	location := resp.Header.Get("Location")
	switch {
	case resp.StatusCode/100 == 3 && location != "":
		text = "redirected to " + place(hide.text(location)) + ", not followed"
	case p.coding != "":
		text = "the page has " + p.coding
	case p.isHTML():
		text = htmlTitle(text)
	default:
		text = e.readJSON(text, hide)
	}
	if resp.StatusCode/100 == 2 {
		kind, _, _ := strings.Cut(hide.text(resp.Header.Get("Content-Type")), ";")
		kind = cmp.Or(printable.Line(strings.ToLower(strings.TrimSpace(kind)), 128), "of no type")
		text = strings.TrimSuffix("the answer is "+kind+", not a 200 of application/json: "+text, ": ")
	}
	e.Message = clean(hide.cutText(text, p.cut && strings.HasSuffix(string(p.text), text)))
	return e
}

// contentCoding names the coding of a body that net/http did not undo; "" if there is none. Where it
// undid one, it has taken the header away.
func contentCoding(h http.Header, hide *redactor) string {
	for _, value := range h.Values("Content-Encoding") {
		if value = strings.TrimSpace(value); value != "" && !strings.EqualFold(value, "identity") {
			return "a Content-Encoding that cannot be undone: " + printable.Line(hide.text(value), 64)
		}
	}
	return ""
}

// requestID is by which the server may know a request again. That it sends the header is assumed.
func requestID(h http.Header, hide *redactor) string {
	return printable.Line(hide.text(h.Get("X-Request-Id")), 128)
}

// readJSON takes code and id from a body of either error shape, and returns its message, or the
// body if it is of neither.
func (e *APIError) readJSON(body string, hide *redactor) string {
	var page struct {
		gen.Error
		Errors []gen.Error `json:"errors"`
	}
	var wrongType *json.UnmarshalTypeError // the other members are read all the same
	if err := json.Unmarshal([]byte(body), &page); err != nil && !errors.As(err, &wrongType) {
		return body
	}
	first := page.Error
	if len(page.Errors) > 0 {
		first = page.Errors[0]
	}
	if first.ID != nil && e.RequestID == "" {
		e.RequestID = printable.Line(hide.text(*first.ID), 128)
	}
	if first.ErrorCode != nil {
		e.Code = int(*first.ErrorCode)
	} else if first.Code != nil {
		if n, err := strconv.ParseInt(*first.Code, 10, 32); err == nil {
			e.Code = int(n)
		}
	}
	var parts []string
	for _, p := range []*string{first.Message, first.Title, first.Detail} {
		if p != nil && *p != "" {
			parts = append(parts, *p)
		}
	}
	if more := len(page.Errors) - 1; more > 0 {
		parts = append(parts, count(more, "more error"))
	}
	if len(parts) == 0 && e.Code == 0 {
		return body
	}
	return strings.Join(parts, ": ")
}

var titleElement = regexp.MustCompile(`(?is)<title>(.*?)</title>`)

// htmlTitle returns the title of an HTML page; "an HTML page" if it has none.
func htmlTitle(page string) string {
	if m := titleElement.FindStringSubmatch(page); m != nil {
		if text := strings.Join(strings.Fields(html.UnescapeString(m[1])), " "); text != "" {
			return text
		}
	}
	return "an HTML page"
}

// place returns where a redirect points, without user, query and fragment, which may hold
// secrets.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Opaque != "" {
		return "a place that cannot be read"
	}
	return printable.Line((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), maxText)
}

func isJSON(h http.Header) bool {
	mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type")) // one with bad parameters is still one
	return mediaType == jsonType
}

// retryAfter reads how long a server asks to wait, from the Retry-After header: whole seconds, or a
// date, which is measured against the response's own Date where it has one, so that the clocks need
// not agree. On a 429 without that header it is X-RateLimit-Reset, in whole seconds. It is 0 if there is
// neither, or it is not legible, or says a time that has passed, and it saturates.
func retryAfter(status int, h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" && status == http.StatusTooManyRequests {
		d, _ := seconds(strings.TrimSpace(h.Get("X-RateLimit-Reset")))
		return d
	}
	if d, ok := seconds(text); ok {
		return d
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, until.Sub(now))
}

// seconds reads a whole number of seconds, and saturates.
func seconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt64/int64(time.Second) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * time.Second, true
}
