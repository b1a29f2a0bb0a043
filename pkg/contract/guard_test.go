package contract_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// guarded is a request to a host, and whether Test lets it go out.
type guarded struct {
	name, method, url string
	options           []contract.Option
	edit              func(*http.Request)
	sent              bool
}

func guardCases() []guarded {
	const link = "https://rest.example/kafka/v3/clusters/c/links/l"
	const pause = link + "/mirrors:reverse-and-pause-mirror"
	const dry = pause + "?validate_only=true"
	const local = "http://127.0.0.1:1/kafka/v3/clusters/c/links/l/mirrors:promote"
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	host := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	raw := func(query string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = query } }
	allow := func(o ...contract.Option) []contract.Option { return o }
	cases := []guarded{
		{"a dry run", "POST", dry, nil, nil, true},
		{"a dry run behind a prefix", "POST", strings.Replace(dry, "/kafka", "/proxy/api", 1), nil, nil, true},
		{"a dry run with another parameter", "POST", link + "/mirrors:truncate-and-restore" +
			"?include_partition_level_truncation_data=true&validate_only=true", nil, nil, true},
		{"a dry run with an escaped colon", "POST", strings.Replace(dry, ":rev", "%3Arev", 1), nil, nil, true},
		{"a new mirror topic", "POST", link + "/mirrors", nil, nil, false},
		{"a delete of the link", "DELETE", link, nil, nil, false},
		{"a new mirror topic on loopback", "POST", strings.TrimSuffix(local, ":promote"), nil, nil, true},
		{"a real run", "POST", pause, nil, nil, false},
		{"validate_only=false", "POST", pause + "?validate_only=false", nil, nil, false},
		{"validate_only=1", "POST", pause + "?validate_only=1", nil, nil, false},
		{"validate_only=TRUE", "POST", pause + "?validate_only=TRUE", nil, nil, false},
		{"validate_only with a space", "POST", pause + "?validate_only=true%20", nil, nil, false},
		{"validate_only true and false", "POST", dry + "&validate_only=false", nil, nil, false},
		{"validate_only twice", "POST", dry + "&validate_only=true", nil, nil, false},
		{"validate_only twice, once escaped", "POST", dry + "&validate%5Fonly=false", nil, nil, false},
		{"validate_only in another case beside it", "POST", dry + "&Validate_Only=false", nil, nil, false},
		{"validateOnly", "POST", pause + "?validateOnly=true", nil, nil, false},
		{"beside a malformed pair", "POST", dry + "&validate_only=%zz", nil, nil, false},
		{"beside a semicolon", "POST", dry + ";validate_only=false", nil, nil, false},
		{"behind a raw #", "POST", pause, nil, raw("a=1#&validate_only=true"), false},
		{"behind a raw space", "POST", pause, nil, raw("a=1 &validate_only=true"), false},
		{"behind a raw byte", "POST", pause, nil, raw("a=\xff&validate_only=true"), false},
		{"a read with a raw #", "GET", link, nil, raw("a=1#"), false},
		{"only behind a fragment", "POST", pause + "#?validate_only=true", nil, nil, false},
		{"only in the path", "POST", pause + "%3Fvalidate_only=true", nil, nil, false},
		{"a delete with validate_only", "DELETE", "https://rest.example/kafka/v3/clusters/c/topics/x?validate_only=true",
			nil, nil, false},
		{"a delete of the link with validate_only", "DELETE", link + "?validate_only=true", nil, nil, false},
		{"a put to a verb with validate_only", "PUT", dry, nil, nil, false},
		{"a new mirror topic with validate_only", "POST", link + "/mirrors?validate_only=true", nil, nil, false},
		{"another operation with validate_only", "POST",
			"https://rest.example/kafka/v3/clusters/c/topics?validate_only=true", nil, nil, false},
		{"a verb that the contract does not have", "POST", link + "/mirrors:delete?validate_only=true", nil, nil, false},
		{"a trailing slash", "POST", strings.Replace(dry, "?", "/?", 1), nil, nil, false},
		{"a matrix parameter", "POST", strings.Replace(dry, "/l/", "/l;validate_only=false/", 1), nil, nil, false},
		{"a dot segment with a matrix parameter", "POST", strings.Replace(dry, "/kafka", "/a/..;/kafka", 1), nil, nil, false},
		{"a parameter that is a dot segment", "POST", strings.Replace(dry, "/l/", "/%2e%2e/", 1), nil, nil, false},
		{"dot segments before the path", "POST", strings.Replace(dry, "/kafka", "/a/../kafka", 1), nil, nil, false},
		{"a read", "GET", link + "/mirrors", nil, nil, true},
		{"a read of something else", "HEAD", "https://rest.example/kafka/v3/clusters/c/topics", nil, nil, true},
		{"no method, which is GET", "", link + "/mirrors", nil, nil, true},
		{"a lower case get", "get", link + "/mirrors", nil, nil, false},
		{"options", "OPTIONS", link, nil, nil, false},
		{"a read that a header makes a delete", "GET", link, nil, header("X-Http-Method-Override", "DELETE"), false},
		{"so with a name that is not canonical", "GET", link, nil, header("x-http-method", "DELETE"), false},
		{"so with another name", "GET", link, nil, header("X-Method-Override", "PUT"), false},
		{"so with an underscore", "GET", link, nil, header("X_HTTP_METHOD_OVERRIDE", "PATCH"), false},
		{"so with a parameter", "GET", link + "?_method=DELETE", nil, nil, false},
		{"so with the name of a proxy's header", "GET", link, nil, header("X-Forwarded-Method", "DELETE"), false},
		{"so with a parameter in capitals", "GET", link + "?_METHOD=DELETE", nil, nil, false},
		{"so with a parameter named as the header", "GET", link + "?x-http-method-override=DELETE", nil, nil, false},
		{"so with another parameter", "GET", link + "?$httpMethod=DELETE", nil, nil, false},
		{"a header that names another URI", "GET", link, nil, header("X-Forwarded-Uri", "/kafka/v3/x"), false},
		{"a header in lower case that names another path", "GET", link, nil, header("x_replaced_path", "/x"), false},
		{"a header with a path that does no harm", "GET", link, nil, header("X-Forwarded-Prefix", "/proxy"), true},
		{"a dry run that a header makes a delete", "POST", dry, nil, header("X-HTTP-Method-Override", "DELETE"), false},
		{"a real run that a header makes a read", "POST", pause, nil, header("X-HTTP-Method-Override", "GET"), false},
		{"a dry run that a header makes a post", "GET", dry, nil, header("X-HTTP-Method-Override", "POST"), true},
		{"a header that names another path", "GET", link, nil, header("X-Original-URL", "/kafka/v3/x"), false},
		{"an opaque URL", "POST", dry, nil, func(r *http.Request) { r.URL.Opaque = "//rest.example/kafka/v3/x" }, false},
		{"an opaque read", "GET", link, nil, func(r *http.Request) { r.URL.Opaque = "//rest.example/x" }, false},
		{"an opaque URL on loopback", "POST", local, nil, func(r *http.Request) { r.URL.Opaque = "//rest.example/x" }, false},
		{"no URL", "GET", link, nil, func(r *http.Request) { r.URL = nil }, false},
		{"a raw path that is another", "POST", dry, nil, func(r *http.Request) { r.URL.RawPath = "/kafka/v3/topics" }, true},
		{"a path that is another on the wire", "POST", dry, nil, func(r *http.Request) {
			r.URL.Path = "/kafka/v3/clusters/c/links/l/mirrors:promote"
			r.URL.RawPath = strings.Replace(r.URL.Path, "/mirrors", "%2Fmirrors", 1)
		}, false},
		{"a reversal that another link allows", "POST", pause, allow(contract.AllowReversal("c", "other")), nil, false},
		{"a reversal that another cluster allows", "POST", pause, allow(contract.AllowReversal("other", "l")), nil, false},
		{"an allowed reversal", "POST", pause, allow(contract.AllowReversal("c", "l")), nil, true},
		{"the other allowed reversal", "POST", link + "/mirrors:reverse-and-start-mirror",
			allow(contract.AllowReversal("c", "l")), nil, true},
		{"a link with a slash", "POST", strings.Replace(pause, "/l/", "/a%2Fl/", 1),
			allow(contract.AllowReversal("c", "a/l")), nil, true},
		{"a reversal allows no promotion", "POST", link + "/mirrors:promote",
			allow(contract.AllowReversal("c", "l")), nil, false},
		{
			"an allowed promotion", "POST", link + "/mirrors:promote", allow(contract.AllowVerb("promote", "c", "l")), nil,
			true,
		},
		{"a promotion allows no failover", "POST", link + "/mirrors:failover",
			allow(contract.AllowVerb("promote", "c", "l")), nil, false},
		{"an allowed promotion as a delete", "DELETE", link + "/mirrors:promote",
			allow(contract.AllowVerb("promote", "c", "l")), nil, false},
		{"an allowed verb of no name", "POST", link + "/mirrors", allow(contract.AllowVerb("", "c", "l")), nil, false},
		{"127.0.0.1", "POST", local, nil, nil, true},
		{"a delete on loopback", "DELETE", local, nil, nil, true},
		{"a malformed query on loopback", "POST", local + "?%zz", nil, nil, true},
		{"another host that is loopback too", "POST", local, nil, host("localhost:9"), true},
		{"a host that is not loopback, sent to it", "POST", local, nil, host("rest.example"), false},
		{"a second Host", "POST", local, nil, header("host", "rest.example"), false},
		{"a Host that is loopback, sent elsewhere", "POST", pause, nil, host("localhost"), false},
	}
	for _, host := range []string{"[::1]:1", "localhost:1", "127.9.9.9", "[::ffff:127.0.0.1]:1"} {
		cases = append(cases, guarded{host, "POST", strings.Replace(pause, "rest.example", host, 1), nil, nil, true})
	}
	for _, host := range []string{
		"x.localhost", "localhost.", "LOCALHOST", "127.evil.example", "localhost.evil.example", "0.0.0.0", "127.1",
		"localhost@rest.example", "10.0.0.1", "[::]",
	} {
		cases = append(cases, guarded{host, "POST", strings.Replace(pause, "rest.example", host, 1), nil, nil, false})
	}
	return cases
}

func TestGuard_SendsNothingBeyondLoopbackButReadsAndDryRuns(t *testing.T) {
	for _, c := range guardCases() {
		t.Run(c.name, func(t *testing.T) {
			sent := false
			base := roundTripper(func(*http.Request) (*http.Response, error) {
				sent = true
				return nil, io.ErrUnexpectedEOF
			})
			r := &recorder{}
			req, err := http.NewRequestWithContext(
				t.Context(), c.method, c.url, strings.NewReader(`{"mirror_topic_names":["a"]}`),
			)
			require.NoError(t, err)
			req.Method = c.method // NewRequest makes GET of ""
			if c.edit != nil {
				c.edit(req)
			}
			_, err = contract.Test(r, base, c.options...).RoundTrip(req)
			if testing.Verbose() {
				fmt.Printf("%-45s sent %-5v expected %v\n", c.name, sent, c.sent)
			}
			require.Equal(t, c.sent, sent)
			if c.sent {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				return
			}
			require.ErrorContains(t, err, "refused to send")
			require.Equal(t, []string{err.Error()}, r.errors)
		})
	}
}

func TestGuard_NamesTheVerbThatWasRefused(t *testing.T) {
	for url, c := range map[string]struct {
		allowed mirror.Verb
		says    string
	}{
		"/clusters/c/links/l/mirrors:promote":     {mirror.VerbFailover, `the verb "promote" for the cluster "c" and the link "l"`},
		"/clusters/other/links/l/mirrors:promote": {mirror.VerbPromote, `the verb "promote" for the cluster "other" and`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://rest.example/kafka/v3"+url, nil)
		require.NoError(t, err)
		transport := contract.Test(&recorder{}, nil, contract.AllowVerb(c.allowed, "c", "l"))
		_, err = transport.RoundTrip(r)
		require.ErrorContains(t, err, c.says)
	}
}

// A redirect is another request, and judged as one.
func TestGuard_JudgesRedirects(t *testing.T) {
	r := &recorder{}
	client := http.Client{Transport: contract.Test(r, roundTripper(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, "127.0.0.1:1", r.URL.Host)
		return &http.Response{
			StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"https://rest.example" + r.URL.Path}},
		}, nil
	}))}
	_, err := client.Post("http://127.0.0.1:1/kafka/v3/clusters/c/links/l/mirrors:promote", "", strings.NewReader("{}"))
	require.ErrorContains(t, err, "refused to send")
	var inURL *url.Error
	require.ErrorAs(t, err, &inURL)
}

// The network in memory has addresses on loopback, so that its clusters can be changed.
func TestGuard_LetsTheNetworkInMemoryBeChanged(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
	client := through(t, pair.Local, tested(t, contract.Strictly()))
	_, err := client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
}
