package mirror_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// Each part that can fail, for each cause: the error names the part, keeps the part's own words, hides
// the secrets in URLs, and errors.Is finds the original.
func TestTheCauseIsNamed(t *testing.T) {
	sealed := errors.New("the vault is sealed")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	kinds := []struct {
		name string
		err  error
		text string
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, "dial tcp: connection refused"},
		{"not resolved", &net.DNSError{Err: "no such host", Name: "idp.example", IsNotFound: true},
			"lookup idp.example: no such host"},
		{"canceled itself", ended.Err(), "context canceled"},
		{"out of its own time", context.DeadlineExceeded, "context deadline exceeded"},
		{"wrong TLS", x509.UnknownAuthorityError{}, "x509: certificate signed by unknown authority"},
		{"its own error", sealed, "the vault is sealed"},
		{"a url.Error with a secret", &url.Error{
			Op: "Post", URL: "https://u:" + canary + "@idp.example/token?client_secret=" + canary + "#" + canary, Err: sealed,
		}, `Post "https://idp.example/token": the vault is sealed`},
		{"a nested url.Error with a secret", fmt.Errorf("token: %w", errors.Join(sealed,
			&url.Error{Op: "Get", URL: "/token?a b=" + canary, Err: syscall.ECONNREFUSED})),
			`Get "/token": connection refused`},
		{"a URL with a secret in its text",
			fmt.Errorf("cannot reach https://idp.example/token?key=%s&x=1: %w", canary, sealed),
			"cannot reach https://idp.example/token: the vault is sealed"},
		{"an error of another call", &mirror.APIError{Status: 401, Message: "x"}, "HTTP 401 Unauthorized: x"},
	}
	parts := []struct {
		name, says string
		fail       func(*env, error)
	}{
		{
			"the token source",
			"nothing was sent: the credential failed: BearerToken: the token source failed: ",
			func(e *env, err error) {
				e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return "", err }, "")
			},
		},
		{"a credential", "nothing was sent: the credential failed: ", func(e *env, err error) {
			e.cfg.Credential = func(context.Context, http.Header) error { return err }
		}},
		{"middleware", "the request was not sent: the middleware failed: ", func(e *env, err error) {
			e.middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, err })
		}},
		{
			"middleware that has sent",
			"the request may have been carried out, and no response came: the middleware failed: ",
			func(e *env, err error) {
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					if resp, err := next.RoundTrip(r); err == nil {
						resp.Body.Close()
					}
					return nil, err
				})
			},
		},
		{"the connection", "the request was not sent: ", func(e *env, err error) {
			e.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}},
		{"BeforeBatch", "BeforeBatch refused batch 1 of 1: ", func(e *env, err error) {
			e.cfg.BeforeBatch = func(context.Context, mirror.Batch) error { return err }
		}},
		{"AfterBatch", "AfterBatch failed for batch 1 of 1: ", func(e *env, err error) {
			e.cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error { return err }
		}},
	}
	n := 0
	for _, part := range parts {
		for _, kind := range kinds {
			n++
			t.Run(part.name+", "+kind.name, func(t *testing.T) {
				e := &env{T: t, pair: mirrortest.NewPair(t, mirrortest.Options{})}
				e.cfg = e.pair.Local.Config()
				e.cfg.RetryFor = -1
				part.fail(e, kind.err)
				_, err := reverseOn(t, newClient(t, e.cfg), "dr-link", "topic-1")
				text := causes(err)[0].Error()
				if testing.Verbose() {
					fmt.Printf("%-26s %-34s %s\n", part.name, kind.name, text)
				}
				require.True(t, strings.HasPrefix(text, part.says), text)
				require.Contains(t, text, kind.text)
				for _, other := range []string{"credential", "middleware", "proxy", "Batch"} {
					if !strings.Contains(part.says, other) {
						require.NotContains(t, text, other)
					}
				}
				if _, foreign := kind.err.(*mirror.APIError); !foreign {
					require.ErrorIs(t, err, kind.err)
				}
				require.NotErrorIs(t, err, mirror.ErrUnauthenticated)
				requireNoCanary(t, err)
			})
		}
	}
	require.GreaterOrEqual(t, n, 30)
}

// What hangs until Timeout, or until the caller gives up, is named as well.
func TestTheCauseIsNamedWhereAPartHangs(t *testing.T) {
	slow := errors.New("the vault did not answer")
	stop := errors.New("the operator pressed stop")
	hang := func(ctx context.Context) error { <-ctx.Done(); return slow }
	for _, c := range []struct {
		name               string
		fail               func(*env)
		timeout, cancelled string // what the error says then
	}{
		{"the token source", func(e *env) {
			e.cfg.Credential = mirror.BearerToken(func(ctx context.Context) (string, error) { return "", hang(ctx) }, "")
		}, "nothing was sent: the credential failed: BearerToken: " +
			"the token source failed: the vault did not answer (time-out after 1m0s)",
			"nothing was sent: the operator pressed stop: the credential failed: BearerToken: " +
				"the token source failed: the vault did not answer"},
		{"middleware", func(e *env) {
			e.middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) { return nil, hang(r.Context()) })
		}, "the request was not sent: the middleware failed: the vault did not answer (time-out after 1m0s)",
			"the request was not sent: the operator pressed stop: the middleware failed: the vault did not answer"},
		{"middleware that has sent", func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if resp, err := next.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
				return nil, hang(r.Context())
			})
		}, "the request may have been carried out, and no response came: " +
			"the middleware failed: the vault did not answer (time-out after 1m0s)",
			"the request may have been carried out, and no response came: " +
				"the operator pressed stop: the middleware failed: the vault did not answer"},
		{"the connection", func(e *env) {
			e.cfg.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, hang(ctx) }
		}, "the request was not sent: time-out after 1m0s",
			"the request was not sent: the operator pressed stop"},
		{"the cluster", func(e *env) { e.pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: silent()}) },
			"the request may have been carried out, and no response came: time-out after 1m0s",
			"the request may have been carried out, and no response came: the operator pressed stop"},
	} {
		for _, cancels := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				e := &env{T: t, pair: mirrortest.NewPair(t, mirrortest.Options{InMemory: true})}
				e.cfg = e.pair.Local.Config()
				e.cfg.RetryFor = -1
				c.fail(e)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				want := c.timeout
				if cancels {
					want = c.cancelled
					time.AfterFunc(time.Second, func() { cancel(stop) })
				}
				report, err := newClient(t, e.cfg).ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1"))
				requireSound(t, report, err, []string{"topic-1"})
				require.EqualError(t, causes(err)[0], want, c.name)
				if strings.Contains(want, "vault") {
					require.ErrorIs(t, err, slow)
				}
				if cancels {
					require.ErrorIs(t, err, stop)
					require.ErrorIs(t, err, context.Canceled)
				} else {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.NotErrorIs(t, err, context.Canceled, "the caller did not cancel")
				}
			})
		}
	}
}

// requireNoCanary fails if a form of the error shows the canary.
func requireNoCanary(t *testing.T, err error) {
	t.Helper()
	for _, e := range append(causes(err), err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			require.NotContains(t, fmt.Sprintf(verb, e), canary)
		}
	}
}

// A server, a proxy or middleware that repeats the credential, in whatever text and form: it is in
// nothing that the library keeps or shows.
func TestNoSecretsWhereTheyAreRepeated(t *testing.T) {
	const key = "lkc-local-key"
	basic := base64.StdEncoding.EncodeToString([]byte(key + ":" + canary + "+/="))
	for _, cred := range []struct {
		name    string
		cred    mirror.Credential
		secrets []string
	}{
		{"APIKey", mirror.APIKey(key, canary+"+/="), []string{basic, canary, key + ":" + canary}},
		{"BearerToken", mirror.BearerToken(func(context.Context) (string, error) { return canary + "+/=", nil }, "pool-1"),
			[]string{canary, base64.StdEncoding.EncodeToString([]byte(canary + "+/="))}},
		{"a header of its own", func(_ context.Context, h http.Header) error {
			h.Set("X-Api-Key", canary+"+/=")
			return nil
		}, []string{canary}},
	} {
		for _, secret := range cred.secrets {
			full := secret
			if secret == canary || strings.HasSuffix(secret, ":"+canary) {
				full += "+/="
			}
			for form, text := range map[string]string{
				"raw":            full,
				"after a scheme": "Bearer " + full,
				"as JSON":        strings.NewReplacer("=", `\u003d`, "+", `\u002b`, "/", `\/`).Replace(full),
				"as a query":     url.QueryEscape(full),
				"as a path":      url.PathEscape(full),
				"as HTML":        strings.NewReplacer("+", "&#43;", "=", "&#61;").Replace(full),
				"as hex":         fmt.Sprintf("%x", full), "after a long text": strings.Repeat("x", 1010) + full,
			} {
				if form == "as hex" && secret != canary {
					continue // an encoding of an encoding
				}
				repeatEverywhere(t, cred.name+" "+form, cred.cred, text, []string{secret, fmt.Sprintf("%x", secret), canary})
			}
		}
	}
}

// repeatEverywhere makes calls in which the text stands in each place that somebody else can fill, and
// requires that none of the secrets is in what the library shows.
func repeatEverywhere(t *testing.T, name string, cred mirror.Credential, text string, secrets []string) {
	t.Helper()
	row := func(members string) string { return `{"mirror_topic_name":"a",` + members + `}` }
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	inHeader := strings.NewReplacer("\r", "", "\n", "").Replace(text)
	for place, do := range map[string]mirrortest.Action{
		"message":                   status(400, kafka, `{"error_code":400,"message":"`+text+`"}`),
		"title and detail":          status(403, kafka, `{"code":"x","title":"`+text+`","detail":"`+text+`"}`),
		"id":                        status(404, kafka, `{"id":"`+text+`","message":"x"}`),
		"list":                      status(500, kafka, `{"errors":[{"detail":"`+text+`"}]}`),
		"body of no shape":          status(500, kafka, `{"x":"`+text+`"}`),
		"plain text":                status(502, "text/plain", text),
		"HTML title":                status(503, "text/html", "<title>"+text+"</title>"),
		"request id":                status(503, kafka, "", "X-Request-Id", inHeader),
		"content type":              status(200, inHeader+"/x", ""),
		"location":                  status(307, "", "", "Location", "https://h/"+inHeader+"?"+inHeader),
		"location path":             status(302, "", "", "Location", inHeader),
		"content encoding":          status(500, kafka, "x", "Content-Encoding", inHeader),
		"content encoding of a 200": status(200, kafka, "x", "Content-Encoding", inHeader),
		"row message":               ok(rows(row(`"error_code":400,"error_message":"` + text + `"`))),
		"row name":                  ok(rows(good("a"), good(text))),
		"nameless row":              ok(rows(good("a"), `{"error_message":"`+text+`"}`)),
		"rows that disagree":        ok(rows(good("a"), row(`"error_message":"`+text+`"`))),
		"next":                      ok(`{"metadata":{"next":"` + text + `"},"data":[` + good("a") + `]}`),
		"next that is an object":    ok(`{"metadata":{"next":{"x":"` + text + `"}},"data":[` + good("a") + `]}`),
		"member name":               ok(rows(`{"` + text + `":x}`)),
		"status line":               raw("HTTP/1.1 " + inHeader + "\r\n\r\n"),
		"malformed header":          raw(head + inHeader + "\r\n\r\n"),
		"trailing bytes":            ok(rows(good("a")) + text),
		"DoSFilter":                 status(429, kafka, "", "DoSFilter", inHeader),
		"attempt count":             status(403, kafka, "", "X-Envoy-Attempt-Count", inHeader),
	} {
		pair := mirrortest.NewPair(t, mirrortest.Options{})
		pair.Local.Inject(mirrortest.Fault{Every: true, Do: do})
		for _, sel := range []mirror.Selection{mirror.Topics("a"), mirror.All()} {
			cfg := pair.Local.Config()
			var log bytes.Buffer
			cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			cfg.RetryFor = -1
			cfg.Middleware, cfg.Credential = admitted(t, cfg.Credential), cred
			report, err := newClient(t, cfg).ReverseAndPause(t.Context(), "dr-link", sel)
			requireHidden(t, name+", "+place, report, err, log.String(), secrets)
		}
	}
	for place, fail := range map[string]func(error) func(*http.Request, http.RoundTripper) (*http.Response, error){
		"middleware": func(err error) func(*http.Request, http.RoundTripper) (*http.Response, error) {
			return func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, err }
		},
		"middleware that has read the body": func(err error) func(*http.Request, http.RoundTripper) (*http.Response, error) {
			return func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				return nil, err
			}
		},
	} {
		e := &env{T: t, pair: mirrortest.NewPair(t, mirrortest.Options{})}
		e.cfg = e.pair.Local.Config()
		e.cfg.RetryFor = -1
		e.cfg.Credential = cred
		e.middleware(fail(fmt.Errorf("cannot send %s: %w", text, io.ErrClosedPipe)))
		report, err := newClient(t, e.cfg).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("a"))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		requireHidden(t, name+", "+place, report, err, "", secrets)
	}
}

// admitted is middleware that puts a credential the test server knows in place of the one under test,
// which it would refuse before it repeats it.
func admitted(t *testing.T, known mirror.Credential) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
			require.NoError(t, known(r.Context(), r.Header))
			return next.RoundTrip(r)
		})
	}
}

func requireHidden(t *testing.T, name string, report *mirror.Report, err error, log string, secrets []string) {
	t.Helper()
	var table strings.Builder
	require.NoError(t, report.Table(&table))
	text, jsonErr := json.Marshal(report)
	require.NoError(t, jsonErr)
	forms := []string{
		table.String(), string(text), log, fmt.Sprint(err),
		fmt.Sprintf("%+v", report), fmt.Sprintf("%#v", *report),
		fmt.Sprintf("%+v", report.Attempts), fmt.Sprintf("%+v", report.Unexpected),
	}
	for _, c := range causes(err) {
		forms = append(forms, c.Error(), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c))
	}
	for _, form := range forms {
		for _, secret := range secrets {
			require.NotContains(t, form, secret, name)
		}
	}
}

// What a bound cuts off does not show the part of a secret before it, and undoing escapes takes no time.
func TestNoSecretsWhereTextsAreCut(t *testing.T) {
	token := "c4n4ry" + strings.Repeat("0123456789abcdef", 20)
	digits := strings.Repeat("7", 40)
	for name, do := range map[string]mirrortest.Action{
		"content encoding": status(400, kafka, "x", "Content-Encoding", token),
		"long page":        status(502, "text/plain", strings.Repeat(" ", 1<<20-30)+token),
		"many copies":      status(502, "text/plain", strings.Repeat(token, 4000)),
		"long row":         ok(rows(`{"mirror_topic_name":"a","error_message":"` + strings.Repeat(token, 4000) + `"}`)),
		"many layers":      status(502, "text/plain", "%"+strings.Repeat("25", 200_000)+token),
		"attempt count":    status(403, kafka, "", "X-Envoy-Attempt-Count", digits),
	} {
		for secret, cred := range map[string]string{"c4n4ry": token, "7777777": digits} {
			pair := mirrortest.NewPair(t, mirrortest.Options{})
			pair.Local.AcceptToken(cred, "")
			pair.Local.Inject(mirrortest.Fault{Every: true, Do: do})
			cfg := pair.Local.Config()
			cfg.RetryFor = -1
			cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return cred, nil }, "")
			report, err := newClient(t, cfg).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("a"))
			requireHidden(t, name, report, err, "", []string{secret})
		}
	}
}

func TestNoSecretsOfAnEarlierAttempt(t *testing.T) {
	tokens := []string{canary + "-first", canary + "-second"}
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.AcceptToken(tokens[1], "")
	pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "revoked: "+tokens[0])})
	cfg := pair.Local.Config()
	n := 0
	cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { n++; return tokens[n-1], nil }, "")
	report, err := newClient(t, cfg).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("topic-1"))
	require.Len(t, report.Attempts, 2)
	requireHidden(t, "renewed", report, err, "", []string{canary})

	n = 0
	cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
		if n++; n > 1 {
			return "", errors.New("cannot refresh " + tokens[0])
		}
		return tokens[0], nil
	}, "")
	report, err = newClient(t, cfg).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("topic-1"))
	requireHidden(t, "not renewed", report, err, "", []string{canary})
}

func TestNoSecretsInURLsOfErrors(t *testing.T) {
	parse := func(s string) error {
		_, err := url.Parse(s)
		require.Error(t, err, s)
		return err
	}
	flattened := fmt.Sprint(&url.Error{Op: "Get", URL: "/t?s=" + canary, Err: io.EOF})
	for name, failure := range map[string]error{
		"an at sign in the user info": &url.Error{Op: "Get", URL: "https://u:first@" + canary + "@idp/token", Err: io.EOF},
		"an invalid port":             parse("https://u:" + canary + "#x@idp"),
		"a query in the user info":    parse("https://u:" + canary + "?x@idp"),
		"a slash in the user info":    parse("https://u:x/" + canary + "@idp/%zz"),
		"an apostrophe":               errors.New(`Post "https://u:a'` + canary + `@idp"`),
		"an apostrophe in the query":  errors.New("get https://idp/t?x=it's-" + canary),
		"a relative URL":              errors.New("POST /token?client_secret=" + canary),
		"no scheme":                   errors.New("idp.example/token?client_secret=" + canary),
		"escaped slashes":             errors.New(`https:\/\/idp\/t?client_secret=` + canary),
		"flattened":                   errors.New(flattened),
	} {
		cfg := mirrortest.NewPair(t, mirrortest.Options{}).Local.Config()
		cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return "", failure }, "")
		cfg.RetryFor = -1
		_, err := newClient(t, cfg).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("topic-1"))
		require.ErrorIs(t, err, failure)
		require.NotContains(t, fmt.Sprint(causes(err)), canary, name)
	}
}

func TestNoSecretsAndNoHarmToTopics(t *testing.T) {
	for name, cred := range map[string]mirror.Credential{
		"a secret that is a topic's name": mirror.APIKey("svc", "payments"),
		"a header that is no secret": func(_ context.Context, h http.Header) error {
			h.Set("X-Team", "payments")
			return nil
		},
	} {
		cfg := serve(t, ok(rows(good("payments")))).config()
		cfg.Middleware, cfg.Credential = admitted(t, cfg.Credential), cred
		report, err := newClient(t, cfg).ReverseAndPause(t.Context(), "link", mirror.All())
		require.NoError(t, err, name)
		require.Equal(t, "payments accepted", outcomes(report))
	}
}

// The part at fault, where it seems to be another.
func TestTheCauseIsNamedWhereItSeemsAnother(t *testing.T) {
	own := errors.New("profile prod is incomplete")
	credential := func(c mirror.Credential) func(*env) { return func(e *env) { e.cfg.Credential = c } }
	for name, c := range map[string]struct {
		fail func(*env)
		want string
		is   error
	}{
		"a credential that returns too late": {
			func(e *env) {
				inner := e.cfg.Credential
				e.cfg.Credential = func(ctx context.Context, h http.Header) error { <-ctx.Done(); return inner(ctx, h) }
			},
			"nothing was sent: the credential returned too late (time-out after 1m0s)", context.DeadlineExceeded,
		},
		"a credential around APIKey": {
			credential(func(ctx context.Context, h http.Header) error {
				return fmt.Errorf("%w: %w", own, mirror.APIKey("", "")(ctx, h))
			}),
			"nothing was sent: the credential failed: profile prod is incomplete: invalid argument: APIKey: the key is empty",
			own,
		},
		"a credential that writes a bad value": {
			credential(func(_ context.Context, h http.Header) error { h.Set("Authorization", "x\r\ny"); return nil }),
			`nothing was sent: the credential failed: invalid argument: invalid header field value for "Authorization"`,
			mirror.ErrInvalidArgument,
		},
		"a credential that writes a bad name": {
			credential(func(_ context.Context, h http.Header) error { h["X Y"] = []string{"z"}; return nil }),
			`nothing was sent: the credential failed: invalid argument: invalid header field name "X Y"`,
			mirror.ErrInvalidArgument,
		},
		"middleware that ends its own context": {
			func(e *env) {
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					ctx, cancel := context.WithCancel(r.Context())
					cancel()
					return next.RoundTrip(r.WithContext(ctx))
				})
			},
			"the request was not sent: the middleware ended the request's context: context canceled", context.Canceled,
		},
		"DialContext that is canceled": {
			func(e *env) {
				e.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, context.Canceled }
			},
			"the request was not sent: DialContext failed: context canceled", context.Canceled,
		},
		"DialContext that returns a typed nil": {
			func(e *env) {
				e.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, (*net.OpError)(nil) }
			},
			"the request was not sent: an error that cannot be printed", nil,
		},
		"a credential that returns a typed nil": {
			credential(func(context.Context, http.Header) error { return (*url.Error)(nil) }),
			"nothing was sent: the credential failed: an error that cannot be printed", nil,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &env{T: t, pair: mirrortest.NewPair(t, mirrortest.Options{InMemory: true})}
			e.cfg = e.pair.Local.Config()
			e.cfg.RetryFor = -1
			c.fail(e)
			report, err := newClient(t, e.cfg).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("topic-1"))
			require.EqualError(t, causes(err)[0], c.want, name)
			require.Equal(t, "topic-1 untouched", outcomes(report))
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
}

func TestReportsSurvive_ReadFromAnywhere(t *testing.T) {
	row := `{"topic":"z","outcome":"accepted"}`
	for _, text := range []string{
		`{"version":3,"attempts":[{"unexpected":-1,"outcome":"unknown"}],"unexpected":[` + row + `]}`,
		`{"version":3,"unexpected":[` + strings.Repeat(row+",", 1500) + row + `]}`,
	} {
		var report mirror.Report
		require.NoError(t, json.Unmarshal([]byte(text), &report))
		require.NoError(t, report.Merge(&mirror.Report{Unexpected: []mirror.Result{{Topic: "y"}}, UnexpectedCount: 1}))
		require.NoError(t, (&mirror.Report{}).Merge(&report))
		require.Error(t, report.Err())
	}
	text := `{"version":3,"complete":true,"unaccounted":"unknown","pattern":"x","results":[` + row + `]}`
	var report mirror.Report
	require.NoError(t, json.Unmarshal([]byte(text), &report))
	require.ErrorIs(t, report.Err(), mirror.ErrOutcomeUnknown)
}

func TestNoSecretsAndNoHarmToNames(t *testing.T) {
	w := serve(t, ok(rows(good("c4n4ry-s3cr3t-orders"), good("b"))))
	report, err := reverse(t, w.client(t), "c4n4ry-s3cr3t-orders", "b")
	require.NoError(t, err, "a topic that was asked for is known by its name, whatever is in it")
	require.True(t, slices.Equal([]string{"c4n4ry-s3cr3t-orders", "b"}, report.Topics(mirror.Accepted)))
}

func TestContentEncodingThatCannotBeUndone(t *testing.T) {
	for coding, want := range map[string]string{
		"br": "br", "zstd": "zstd", "deflate": "deflate", "gzip, gzip": "gzip, gzip",
	} {
		for code, text := range map[int]string{
			200: "the answer has a Content-Encoding that cannot be undone: ",
			400: "the page has a Content-Encoding that cannot be undone: ",
			503: "the page has a Content-Encoding that cannot be undone: ",
		} {
			report, err := reverse(t, serve(t, status(code, kafka, `{"error_code":400,"data":[]}`,
				"Content-Encoding", coding)).client(t), "a")
			require.ErrorContains(t, err, text+want)
			require.Equal(t, "a unknown", outcomes(report))
		}
	}
	_, err := reverse(t, serve(t, status(200, kafka, rows(good("a")), "Content-Encoding", "identity")).client(t), "a")
	require.NoError(t, err)
	_, err = reverse(t, serve(t, status(200, kafka, zipped(rows(good("a")), 0),
		"Content-Encoding", "gzip")).client(t), "a")
	require.NoError(t, err)
}

func TestTextsReadBackFromJSONArePrintable(t *testing.T) {
	evil := `\u001b[2J\nx\u202e`
	text := strings.ReplaceAll(`{"version":3,"cluster_id":"c","link":"E","pattern":"E","next":"E","unexpected_count":1,
		"results":[{"topic":"E","outcome":"failed","message":"E","notes":["E"]},{"topic":"E2","outcome":"unknown","cause":0}],
		"unexpected":[{"topic":"E","outcome":"failed","message":"E","notes":["E"]}],
		"attempts":[{"error":"E","request_id":"E","outcome":"unknown"}],`+
		`"causes":[{"text":"E","status":500,"message":"E","request_id":"E"}],"problems":[0]}`, "E", evil)
	var report mirror.Report
	require.NoError(t, json.Unmarshal([]byte(text), &report))
	var table strings.Builder
	require.NoError(t, report.Table(&table))
	for _, form := range []string{
		table.String(), report.String(), fmt.Sprint(report.Err()), fmt.Sprint(causes(report.Err())),
		report.Attempts[0].Error, report.Attempts[0].RequestID, report.Results[0].Message,
	} {
		require.NotContains(t, form, "\x1b")
		require.NotContains(t, form, "\u202e")
	}
	require.NotContains(t, report.String()+fmt.Sprint(report.Err()), "\n")
	byHand := mirror.Report{Results: []mirror.Result{{
		Topic: "a", Outcome: mirror.Failed, Message: "\x1b[2J", Notes: []string{"\x1b"},
	}}}
	table.Reset()
	require.NoError(t, byHand.Table(&table))
	require.NotContains(t, table.String(), "\x1b")
	require.NotContains(t, byHand.Err().Error(), "\x1b")
}

func TestSaidBeforeSending_Ids(t *testing.T) {
	for id, want := range map[string]string{
		" lkc-1":      "has white space around it",
		"lkc-1\n":     "has white space around it",
		"lkc-1\u00a0": "has white space around it",
		"\tlkc":       "has white space around it",
		"lkc\n1":      "has a character that cannot be printed",
		"lkc\x001":    "has a character that cannot be printed",
		"lkc\u202e1":  "has a character that cannot be printed",
		"lkc\u200b1":  "has a character that cannot be printed",
		"${CLUSTER}":  "is a placeholder that was not filled in",
		"lkc-${ID}":   "is a placeholder that was not filled in",
		"$(id)":       "is a placeholder that was not filled in",
		"{{ .ID }}":   "is a placeholder that was not filled in",
		"null":        "is a placeholder that was not filled in",
		"NULL":        "is a placeholder that was not filled in",
		"undefined":   "is a placeholder that was not filled in",
		"<nil>":       "is a placeholder that was not filled in",
	} {
		_, err := mirror.NewClient(mirror.Config{Endpoint: "https://h", ClusterID: id, Credential: mirror.NoCredential()})
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "ClusterID: ")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")

		w := serve(t, ok(rows(good("a"))))
		_, err = w.client(t).ReverseAndPause(t.Context(), id, mirror.Topics("a"))
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "link: ")
		require.ErrorContains(t, err, want)
		require.Empty(t, w.Journal())
	}
	for _, id := range []string{"my link", "nullable", "undefined-1", "a$b", "größe"} {
		_, err := mirror.NewClient(mirror.Config{Endpoint: "https://h", ClusterID: id, Credential: mirror.NoCredential()})
		require.NoError(t, err, id)
	}
	for _, key := range []string{"a\x00b", "${KAFKA_API_KEY}", "null"} {
		w := serve(t, ok(rows(good("a"))))
		cfg := w.config()
		cfg.Credential = mirror.APIKey(key, canary)
		_, err := reverse(t, newClient(t, cfg), "a")
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.Empty(t, w.Journal())
	}
}
