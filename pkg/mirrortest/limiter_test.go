package mirrortest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestServer_RateLimiterCountsWhatItRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Rate: mirrortest.Rate{PerServer: 3}})
		dryRun := func() error {
			_, err := client(t, p.Local, once).Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
			return err
		}
		through := func() (n int) {
			for range 10 {
				err := dryRun()
				if err == nil {
					n++
					continue
				}
				require.ErrorIs(t, err, mirror.ErrRateLimited)
				var api *mirror.APIError
				require.ErrorAs(t, err, &api)
				require.Equal(t, "HTTP 429 Too Many Requests", api.Error(), "no Retry-After")
			}
			return n
		}
		require.Equal(t, 3, through())
		for range 20 {
			time.Sleep(300 * time.Millisecond)
			require.Error(t, dryRun(), "more than three in a second, for ever")
		}
		time.Sleep(time.Second - time.Nanosecond)
		require.Equal(t, 2, through(), "one more is not yet a second ago")
		time.Sleep(time.Second)
		require.Equal(t, 3, through(), "a second without any")
		time.Sleep(time.Hour)
		require.Equal(t, 3, through(), "nothing is saved up")
		_, err := client(t, p.Local, once).Mirrors(ctx, "dr-link")
		require.ErrorIs(t, err, mirror.ErrRateLimited, "reads are counted too")
		_, err = client(t, p.Remote, once).Mirrors(ctx, "dr-link")
		require.NoError(t, err, "the other cluster has its own")
	})
}

// What is over a client's own limit is not counted against that of the server.
func TestServer_RateLimiterCountsByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Rate: mirrortest.Rate{PerClient: 2, PerServer: 5}})
		ask := func(address string) (n int) {
			for range 9 {
				r := httptest.NewRequest(http.MethodGet, list, nil)
				r.SetBasicAuth(p.Local.APIKey())
				r.RemoteAddr = address + ":1"
				w := httptest.NewRecorder()
				p.Local.ServeHTTP(w, r)
				if w.Code == http.StatusOK {
					n++
				}
			}
			return n
		}
		require.Equal(t, 2, ask("127.0.0.1"))
		require.Equal(t, 2, ask("127.0.0.2"))
		require.Equal(t, 1, ask("127.0.0.3"), "the server's limit")
	})
}

func TestServer_RateLimiterAnswersByAcceptAndMode(t *testing.T) {
	const asJSON = "application/json"
	for _, c := range []struct {
		name        string
		rate        mirrortest.Rate
		status      int
		headers     []string
		accept      string
		contentType string
		body        string // of the request that is over the limit
		took        time.Duration
	}{
		{"rejects", mirrortest.Rate{Mode: mirrortest.RateReject}, 429, []string{"unavailable"}, asJSON, asJSON,
			`{"servlet":"default","message":"Too Many Requests","url":"PATH","status":"429"}`, 0},
		{"rejects, HTML", mirrortest.Rate{}, 429, []string{"unavailable"}, "*/*", "text/html;charset=iso-8859-1",
			"<tr><th>URI:</th><td>PATH</td></tr>", 0},
		{"rejects, no Accept", mirrortest.Rate{}, 429, []string{"unavailable"}, "", "text/html;charset=iso-8859-1",
			"HTTP ERROR 429 Too Many Requests", 0},
		{"rejects, without header", mirrortest.Rate{NoHeader: true}, 429, nil, asJSON, asJSON, `"status":"429"`, 0},
		{"delays", mirrortest.Rate{Mode: mirrortest.RateDelay}, 200, []string{"delayed"}, asJSON, asJSON,
			`"mirror_topic_name":"topic-1"`, 100 * time.Millisecond},
		{"delays, without header", mirrortest.Rate{Mode: mirrortest.RateDelay, NoHeader: true}, 200, nil, asJSON, asJSON,
			`"mirror_topic_name":"topic-1"`, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.rate.PerClient = 1
				p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Rate: c.rate})
				ask := func() (*http.Response, string) {
					return raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true",
						`{"mirror_topic_names":["topic-1"]}`, "Accept", c.accept)
				}
				resp, _ := ask()
				require.Equal(t, 200, resp.StatusCode)
				require.Empty(t, resp.Header.Values("DoSFilter"))
				start := time.Now()
				resp, body := ask()
				require.Equal(t, c.took, time.Since(start))
				require.Equal(t, c.status, resp.StatusCode)
				require.Equal(t, c.headers, resp.Header.Values("DoSFilter"))
				require.Equal(t, c.contentType, resp.Header.Get("Content-Type"))
				require.Contains(t, strings.ReplaceAll(body, "\n", ""), strings.ReplaceAll(c.body, "PATH", path(p.Local)))
			})
		})
	}
}

// A header can be added to the limiter's answer, and its own be dropped, as a proxy does.
func TestFault_TheLimitersHeaders(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	for _, c := range []struct {
		do      mirrortest.Action
		limited bool
	}{{mirrortest.RateLimited(), true}, {mirrortest.RateLimitedWithoutHeader(), false}} {
		p.Local.Inject(mirrortest.Fault{Do: mirrortest.WithHeader(c.do, "Retry-After", "120")})
		_, err := reverse(t, p.Local, "topic-1")
		var api *mirror.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, 2*time.Minute, api.RetryAfter)
		require.Equal(t, c.limited, errors.Is(err, mirror.ErrRateLimited))
		require.Zero(t, p.Local.Applied("topic-1"))
	}
}
