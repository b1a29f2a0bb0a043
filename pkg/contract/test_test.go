package contract_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// recorder is a test that only notes its failures.
type recorder struct {
	testing.TB
	errors, logs []string
	cleanup      func()
	skipped      bool
}

func (*recorder) Helper()            {}
func (*recorder) Name() string       { return "TestRecorded" }
func (r *recorder) Cleanup(f func()) { r.cleanup = f }
func (r *recorder) Skipped() bool    { return r.skipped }
func (r *recorder) Errorf(format string, a ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, a...))
}
func (r *recorder) Logf(format string, a ...any) { r.logs = append(r.logs, fmt.Sprintf(format, a...)) }

func TestTest_FailsOnViolationsOnly(t *testing.T) {
	for _, c := range []struct {
		body         string
		options      []contract.Option
		errors, logs int
	}{
		{list(row("a")), nil, 0, 0},
		{list(), nil, 1, 0},
		{strings.ReplaceAll(list(row("a")), "links/link-1", "links/other"), nil, 0, 2},
		{"403", nil, 0, 1},
		{"403", []contract.Option{contract.Strictly()}, 1, 0},
	} {
		pair := mirrortest.NewPair(t, mirrortest.Options{Link: "link-1", Topics: []mirrortest.Topic{{Name: "a"}}})
		do := mirrortest.Answer(200, c.body, "Content-Type", "application/json")
		if c.body == "403" {
			do = mirrortest.Error(403, 40301, "no")
		}
		pair.Local.Inject(mirrortest.Fault{Do: do})
		r := &recorder{}
		client := through(t, pair.Local, tested(r, c.options...))
		for range 2 { // the fault is of the first
			_, _ = client.Validate(t.Context(), mirror.VerbReverseAndPause, "link-1", mirror.Topics("a"))
		}
		require.Empty(t, r.errors, "findings are told when the test ends")
		r.cleanup()
		require.Len(t, r.errors, c.errors, "%v", r.errors)
		require.Len(t, r.logs, c.logs, "%v", r.logs)
	}
}

func TestTest_FailsIfNothingWasChecked(t *testing.T) {
	get := func(transport http.RoundTripper, path string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1"+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer x")
		_, err = transport.RoundTrip(r)
		require.NoError(t, err)
	}
	read := func(transport http.RoundTripper) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1"+link1+"/mirrors", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer x")
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
	}
	lose := func(transport http.RoundTripper, body io.Reader) {
		_, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", body))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	base := answering(io.NopCloser(strings.NewReader("{}")))
	unsent := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	lost := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	})
	whole := roundTripper(func(*http.Request) (*http.Response, error) {
		return answering(io.NopCloser(strings.NewReader(list()))).RoundTrip(nil)
	})
	page := func(status int, mediaType string) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {mediaType}},
				Body: io.NopCloser(strings.NewReader("<title>Sign in</title>")),
			}, nil
		})
	}
	for name, c := range map[string]struct {
		skipped bool
		use     func(*recorder)
		says    string
	}{
		"no request":                  {false, func(r *recorder) { contract.Test(r, base) }, "no request was sent, or no answer was read"},
		"no request, but skipped":     {true, func(r *recorder) { contract.Test(r, base) }, ""},
		"another operation":           {false, func(r *recorder) { get(contract.Test(r, base), "/kafka/v3/clusters") }, "a request is not of the contract"},
		"a path that is alike":        {false, func(r *recorder) { get(contract.Test(r, base), link1+"/mirrors/") }, "a request is not of the contract"},
		"an answer that no one reads": {false, func(r *recorder) { get(contract.Test(r, base), link1+"/mirrors") }, "no answer was read"},
		"an answer":                   {false, func(r *recorder) { read(contract.Test(r, whole)) }, ""},
		"a gateway's 404": {false, func(r *recorder) { read(contract.Test(r, page(404, "text/html"))) },
			`a request was answered 404 as "text/html", which the contract does not declare`},
		"a firewall's 403": {false, func(r *recorder) { read(contract.Test(r, page(403, "text/html"))) }, "was answered 403"},
		"a proxy's 503": {false, func(r *recorder) {
			transport := contract.Test(r, page(503, "text/plain"))
			read(transport)
			read(transport)
		}, `a request was answered 503 as "text/plain", which the contract does not declare (2 times)`},
		"half an answer": {false, func(r *recorder) {
			resp, err := contract.Test(r, whole).RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}, "a request got an answer that was not read to its end"},
		"a request that was refused": {false, func(r *recorder) {
			_, err := contract.Test(r, whole).RoundTrip(httptest.NewRequest(http.MethodDelete, "https://rest.example/x", nil))
			require.Error(t, err)
			r.errors = nil
		}, "a request was refused"},
		"the page of a 200":           {false, func(r *recorder) { read(contract.Test(r, page(200, "text/html"))) }, "was answered 200"},
		"the limiter's declared page": {false, func(r *recorder) { read(contract.Test(r, page(429, "text/html"))) }, ""},
		"a request that was not sent": {false, func(r *recorder) {
			lose(contract.Test(r, unsent), strings.NewReader(good().body))
			lose(contract.Test(r, unsent), http.NoBody)
		}, "a request got no answer (2 times)"},
		"a request that was lost": {false, func(r *recorder) {
			lose(contract.Test(r, lost), strings.NewReader(good().body))
		}, ""},
		"one of two transports": {false, func(r *recorder) {
			contract.Test(r, base)
			read(contract.Test(r, whole))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{skipped: c.skipped}
			c.use(r)
			require.Empty(t, r.errors)
			r.cleanup()
			nothing := ""
			for _, line := range r.errors {
				if strings.Contains(line, "nothing of the contract was checked: ") {
					nothing = line
				}
			}
			require.Equal(t, c.says == "", nothing == "", r.errors)
			require.Contains(t, nothing, c.says)
		})
	}
}

// The test of the example fails whenever the cluster does not do what it is asked.
func TestTest_TheExampleFailsIfTheCredentialIsRefused(t *testing.T) {
	for status, code := range map[int]int{401: 40101, 403: 40301} {
		pair := mirrortest.NewPair(t, mirrortest.Options{})
		pair.Local.Inject(mirrortest.Fault{Every: true, Do: mirrortest.Error(status, code, "no")})
		r := &recorder{}
		client := through(t, pair.Local, tested(r))
		_, err := client.Validate(t.Context(), mirror.VerbReverseAndPause, pair.Link(), mirror.Topics("topic-1"))
		require.Error(t, err, "the example requires that there is none")
		r.cleanup()
		if status == 401 { // as the contract declares it
			require.Empty(t, r.errors)
			require.Len(t, r.logs, 1)
			require.Contains(t, r.logs[0], "note status")
			require.Contains(t, r.logs[0], "the credential was refused")
		} else {
			require.Len(t, r.errors, 1)
		}
	}
}

func TestTest_TellsEqualFindingsOnOneLine(t *testing.T) {
	rows := make([]string, 500)
	for i := range rows {
		rows[i] = strings.Replace(row(fmt.Sprint("t", i)), `"lag":1`, `"lag":"1"`, 1)
	}
	rows[0] = row("t0")
	for name, c := range map[string]struct {
		answer string
		times  int
		want   string
	}{
		"of one answer": {list(rows...), 1,
			"answer 200 at /data/1/mirror_lags/0/lag: value must be an integer (the first of 499)"},
		"of two answers": {list(rows...), 2,
			"answer 200 at /data/1/mirror_lags/0/lag: value must be an integer (the first of 998)"},
		"of 500 answers": {`{` + meta + `,"data":{}}`, 500, "answer 200 at /data: value must be an array (the first of 500)"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			transport := contract.Test(r, roundTripper(func(r *http.Request) (*http.Response, error) {
				_, _ = io.Copy(io.Discard, r.Body)
				return answering(io.NopCloser(strings.NewReader(c.answer))).RoundTrip(r)
			}))
			for range c.times {
				resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", strings.NewReader(`{"mirror_topic_name_pattern":".*"}`)))
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
			}
			r.cleanup()
			require.Equal(t, []string{"contract: violation schema: request 1, POST " + reverse + ": " + c.want}, r.errors)
		})
	}
}

// ended is a test that panics once it has ended, as the tests of package testing do.
type ended struct {
	recorder
	hasEnded bool
}

func (e *ended) Errorf(format string, a ...any) {
	if e.hasEnded {
		panic("Log in goroutine after TestRecorded has completed")
	}
	e.recorder.Errorf(format, a...)
}

func TestTest_ReportsWhatIsFoundAfterTheTest(t *testing.T) {
	bad := roundTripper(func(r *http.Request) (*http.Response, error) {
		return answering(io.NopCloser(strings.NewReader("oops"))).RoundTrip(r)
	})
	violate := func(transport http.RoundTripper) {
		resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
	}
	first := &ended{}
	transport := contract.Test(first, bad)
	violate(transport)
	first.cleanup()
	require.Len(t, first.errors, 1)
	violate(transport)
	require.Len(t, first.errors, 2, "a cleanup that runs later is still of the test")
	first.hasEnded = true
	violate(transport)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "https://rest.example/x", nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip(r)
	require.ErrorContains(t, err, "refused to send")

	next := &recorder{}
	contract.Test(next, bad)
	require.Len(t, next.errors, 2)
	require.Contains(t, next.errors[0], "violation syntax: request 3")
	require.Contains(t, next.errors[0], "found after TestRecorded had ended")
	require.Contains(t, next.errors[1], "refused to send DELETE")
	after := &recorder{}
	contract.Test(after, bad)
	require.Empty(t, after.errors, "they are reported once")
}
