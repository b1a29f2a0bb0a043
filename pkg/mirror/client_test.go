package mirror_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestSaidBeforeSending_AConfigIsCheckedWhole(t *testing.T) {
	base := mirror.Config{Endpoint: "https://rest.example", ClusterID: "lkc-1", Credential: mirror.NoCredential()}
	for _, c := range []struct {
		name string
		edit func(*mirror.Config)
		want []string // nil for none
	}{
		{"fine", func(*mirror.Config) {}, nil},
		{"port", func(c *mirror.Config) { c.Endpoint = "https://rest.example:443/" }, nil},
		{"http on loopback", func(c *mirror.Config) { c.Endpoint = "http://localhost:8082" }, nil},
		{"http on IPv6 loopback", func(c *mirror.Config) { c.Endpoint = "http://[::1]:8082" }, nil},
		{"http allowed", func(c *mirror.Config) { c.Endpoint, c.AllowHTTP = "http://rest.example", true }, nil},
		{"prefix", func(c *mirror.Config) { c.PathPrefix = "/gateway/kafka-1.x" }, nil},
		{"no prefix", func(c *mirror.Config) { c.PathPrefix = "/" }, nil},
		{"a millisecond", func(c *mirror.Config) { c.Timeout, c.RetryFor = time.Millisecond, time.Millisecond }, nil},
		{"no retries", func(c *mirror.Config) { c.RetryFor = -1 }, nil},
		{"nothing at all", func(c *mirror.Config) { *c = mirror.Config{} },
			[]string{"Endpoint: it is empty", "ClusterID: it is empty", "Credential: there is none"}},
		{"no scheme", func(c *mirror.Config) { c.Endpoint = "rest.example" }, []string{"Endpoint: it is not of the form"}},
		{"no scheme, a port", func(c *mirror.Config) { c.Endpoint = "rest.example:443" }, []string{"Endpoint: it is not of the form"}},
		{"another scheme", func(c *mirror.Config) { c.Endpoint = "ftp://rest.example" }, []string{"Endpoint: it is not of the form"}},
		{"no host", func(c *mirror.Config) { c.Endpoint = "https://:443" }, []string{"Endpoint: it is not of the form"}},
		{"no URL, with a secret", func(c *mirror.Config) { c.Endpoint = "https://u:" + canary + "@h:port" },
			[]string{"Endpoint: it is not of the form"}},
		{"http beyond loopback", func(c *mirror.Config) { c.Endpoint = "http://rest.example" }, []string{"AllowHTTP"}},
		{"user info", func(c *mirror.Config) { c.Endpoint = "https://u:" + canary + "@rest.example" }, []string{"user info"}},
		{"query", func(c *mirror.Config) { c.Endpoint = "https://rest.example?" + canary }, []string{"query"}},
		{"empty query", func(c *mirror.Config) { c.Endpoint = "https://rest.example?" }, []string{"query"}},
		{"fragment", func(c *mirror.Config) { c.Endpoint = "https://rest.example#" }, []string{"fragment"}},
		{"bootstrap server", func(c *mirror.Config) { c.Endpoint = "https://rest.example:9092" }, []string{"bootstrap"}},
		{"ends in /kafka", func(c *mirror.Config) { c.Endpoint = "https://rest.example/kafka/" },
			[]string{"ends in /kafka, which the library adds"}},
		{"ends in /kafka/v3", func(c *mirror.Config) { c.Endpoint = "https://rest.example/kafka/v3" },
			[]string{"ends in /kafka/v3, which the library adds"}},
		{"ends in /v3", func(c *mirror.Config) { c.Endpoint = "https://rest.example/v3" }, []string{"PathPrefix"}},
		{"a path", func(c *mirror.Config) { c.Endpoint = "https://rest.example/a" }, []string{"PathPrefix"}},
		{"all about it", func(c *mirror.Config) { c.Endpoint = "http://u:p@rest.example:9092/kafka?q#f" },
			[]string{"user info", "query", "fragment", "ends in /kafka", "bootstrap", "AllowHTTP"}},
		{"prefix without a slash", func(c *mirror.Config) { c.PathPrefix = "kafka" }, []string{"PathPrefix"}},
		{"prefix upwards", func(c *mirror.Config) { c.PathPrefix = "/a/.." }, []string{"PathPrefix"}},
		{"prefix with v3", func(c *mirror.Config) { c.PathPrefix = "/kafka/v3" }, []string{"PathPrefix: it ends in /v3"}},
		{"negative bounds", func(c *mirror.Config) { c.Timeout, c.BatchSize = -1, -1 },
			[]string{"Timeout: -1ns is negative", "BatchSize: -1 is negative"}},
		{"a unit forgotten", func(c *mirror.Config) { c.Timeout, c.RetryFor = 30, 999 },
			[]string{"Timeout: 30ns is shorter than a millisecond", "RetryFor: 999ns is shorter than a millisecond"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := base
			c.edit(&cfg)
			client, err := mirror.NewClient(cfg)
			if c.want == nil {
				require.NoError(t, err)
				return
			}
			require.Nil(t, client)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			require.NotErrorIs(t, err, mirror.ErrNoTopics)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), canary)
		})
	}
}

func TestSaidBeforeSending_Ids(t *testing.T) {
	client := newClient(t, offline(answering(rows(good("a")))))
	check := func(id string) (cluster, link error) {
		_, cluster = mirror.NewClient(mirror.Config{Endpoint: "https://h", ClusterID: id, Credential: mirror.NoCredential()})
		_, link = client.Pause(t.Context(), id, mirror.Topics("a"))
		return cluster, link
	}
	for _, id := range []string{
		"", ".", "..", "-", " lkc-1", "lkc-1\n", "lkc-1\u00a0", "\tlkc", "lkc\n1", "lkc\x001", "lkc\u202e1", "lkc\u200b1", "\xff",
		"${CLUSTER}", "lkc-${ID}", "$(id)", "{{ .ID }}", "null", "NULL", "None", "undefined", "<nil>", "\ufefflkc-1",
	} {
		cluster, link := check(id)
		require.ErrorIs(t, cluster, mirror.ErrInvalidArgument, id)
		require.ErrorContains(t, cluster, "ClusterID: ")
		require.ErrorIs(t, link, mirror.ErrInvalidArgument, id)
		require.ErrorContains(t, link, "link: ")
		require.NotContains(t, cluster.Error()+link.Error(), "\n")
		require.NotContains(t, cluster.Error()+link.Error(), "\u202e")
	}
	for _, id := range []string{ // no cluster id has these; a link may
		`"lkc-1"`, "'lkc-1'", "`lkc-1`", "“lkc-1”", "‘lkc-1’", "«lkc-1»", "„lkc-1“", "‹lkc-1›", `"lkc-1`, "lkc-$1", "lkc%2D1",
		"<lkc-1>", "lkc-1>", "lkc-1#", "lkc-1;", "lkc-1,lkc-2", "id=lkc-1", `lkc\1`,
	} {
		cluster, link := check(id)
		require.ErrorIs(t, cluster, mirror.ErrInvalidArgument, id)
		require.ErrorContains(t, cluster, "ClusterID: ")
		require.NoError(t, link, id)
	}
	for _, id := range []string{"lkc-1", "my link", "nullable", "undefined-1", "größe", "a/b", "a:b"} {
		cluster, link := check(id)
		require.NoError(t, cluster, id)
		require.NoError(t, link, id)
	}
}

// Names of clusters and links stay in one segment of the path, whatever is in them.
func TestRequest_NamesStayInOneSegment(t *testing.T) {
	var sent *http.Request
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r
		return answering(rows(good("a"))).RoundTrip(r)
	})
	for name, segment := range map[string]string{
		"a/b": "a%2Fb", "my link": "my%20link", "a:b": "a:b", "what?": "what%3F", "größe": "gr%C3%B6%C3%9Fe", "../x": "..%2Fx",
		"a+d&": "a+d&", "a;b": "", "50%": "", "%2F": "", "no#1": "",
	} {
		cluster := name
		if segment == "" { // no cluster id
			cluster, segment = "lkc-1", strings.NewReplacer("%", "%25", ";", "%3B", "#", "%23").Replace(name)
		}
		for prefix, before := range map[string]string{"": "/kafka", "/": "", "/gw/rest": "/gw/rest"} {
			cfg := offline(transport)
			cfg.ClusterID, cfg.PathPrefix = cluster, prefix
			_, err := newClient(t, cfg).Pause(t.Context(), name, mirror.Topics("a"))
			require.NoError(t, err)
			inPath := segment
			if cluster != name {
				inPath = cluster
			}
			require.Equal(t, before+"/v3/clusters/"+inPath+"/links/"+segment+"/mirrors:pause", sent.URL.EscapedPath())
			require.Equal(t, before+"/v3/clusters/"+cluster+"/links/"+name+"/mirrors:pause", sent.URL.Path)
		}
	}
	require.Equal(t, "clusterlink-go", sent.Header.Get("User-Agent"))
}

// cfgEnv sets variables for one test, and unsets the others that ConfigFromEnv reads.
func cfgEnv(t *testing.T, prefix string, variables map[string]string) {
	for _, name := range []string{
		"REST_ENDPOINT", "CLUSTER_ID", "ID", "API_KEY", "API_SECRET", "BEARER_TOKEN", "BEARER_TOKEN_FILE", "IDENTITY_POOL_ID",
		"CA_FILE", "PATH_PREFIX",
	} {
		t.Setenv(prefix+"KAFKA_"+name, variables[name])
	}
}

func TestConfigFromEnv(t *testing.T) {
	const endpoint = "https://rest.example"
	for _, c := range []struct {
		name      string
		variables map[string]string
		want      []string // of the error
		header    http.Header
	}{
		{"key", map[string]string{"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "API_KEY": "key", "API_SECRET": canary}, nil,
			http.Header{"Authorization": {"Basic a2V5OmM0bjRyeS1zM2NyM3Q="}}},
		{"the other name of the id",
			map[string]string{"REST_ENDPOINT": endpoint, "ID": "lkc-1", "API_KEY": "key", "API_SECRET": canary}, nil,
			http.Header{"Authorization": {"Basic a2V5OmM0bjRyeS1zM2NyM3Q="}}},
		{"token", map[string]string{"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "ID": "lkc-1", "BEARER_TOKEN": canary}, nil,
			http.Header{"Authorization": {"Bearer " + canary}}},
		{"token and pool", map[string]string{
			"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "BEARER_TOKEN": canary, "IDENTITY_POOL_ID": "pool-1",
		}, nil, http.Header{"Authorization": {"Bearer " + canary}, "Confluent-Identity-Pool-Id": {"pool-1"}}},
		{"path prefix", map[string]string{
			"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "BEARER_TOKEN": canary, "PATH_PREFIX": "/",
		}, nil, http.Header{"Authorization": {"Bearer " + canary}}},
		{"nothing", nil, []string{"KAFKA_REST_ENDPOINT: it is empty", "KAFKA_CLUSTER_ID: it is empty",
			"KAFKA_API_KEY: there is no credential"}, nil},
		{"two ids", map[string]string{
			"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "ID": "lkc-2", "API_KEY": "key", "API_SECRET": canary,
		}, []string{`KAFKA_CLUSTER_ID: it is "lkc-1" and KAFKA_ID is "lkc-2"`}, nil},
		{"no secret", map[string]string{"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "API_KEY": "key"},
			[]string{"KAFKA_API_SECRET: it is empty"}, nil},
		{"a secret alone", map[string]string{"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "API_SECRET": canary},
			[]string{"KAFKA_API_KEY: it is empty"}, nil},
		{"a key and a token", map[string]string{
			"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "API_KEY": "key", "API_SECRET": canary, "BEARER_TOKEN": canary,
		}, []string{"more than one is set"}, nil},
		{"everything wrong", map[string]string{
			"REST_ENDPOINT": "rest.example", "CLUSTER_ID": `"lkc-1"`, "API_KEY": "'" + canary + "'", "API_SECRET": canary + "\n",
			"PATH_PREFIX": "kafka", "CA_FILE": "/nowhere/ca.pem",
		}, []string{"KAFKA_REST_ENDPOINT: it is not of the form", "KAFKA_CLUSTER_ID: ", "KAFKA_API_KEY: it has quotes",
			"KAFKA_API_SECRET: it has white space", "KAFKA_PATH_PREFIX: ", "KAFKA_CA_FILE: open /nowhere/ca.pem"}, nil},
		{"a key with a colon", map[string]string{
			"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "API_KEY": "a:b", "API_SECRET": canary,
		}, []string{"KAFKA_API_KEY: it has a colon"}, nil},
		{"a token with a space", map[string]string{"REST_ENDPOINT": endpoint, "CLUSTER_ID": "lkc-1", "BEARER_TOKEN": canary + " "},
			[]string{"KAFKA_BEARER_TOKEN: it has white space"}, nil},
	} {
		for _, prefix := range []string{"", "OTHER_"} {
			t.Run(prefix+c.name, func(t *testing.T) {
				cfgEnv(t, prefix, c.variables)
				cfg, err := mirror.ConfigFromEnv(prefix)
				if c.want == nil {
					require.NoError(t, err)
					require.Equal(t, []string{endpoint, "lkc-1", c.variables["PATH_PREFIX"]},
						[]string{cfg.Endpoint, cfg.ClusterID, cfg.PathPrefix})
					h, err := written(t, cfg.Credential)
					require.NoError(t, err)
					require.Equal(t, c.header, h)
					_, err = mirror.NewClient(cfg)
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, mirror.ErrInvalidArgument)
				for _, want := range c.want {
					require.ErrorContains(t, err, strings.ReplaceAll(want, "KAFKA_", prefix+"KAFKA_"))
				}
				require.NotContains(t, err.Error(), canary)
				require.Nil(t, cfg.Credential)
				for _, field := range []string{"Endpoint:", "ClusterID:", "PathPrefix:", "Credential:"} {
					require.NotContains(t, err.Error(), field, "the error names variables, not fields")
				}
			})
		}
	}
}

func TestConfigFromEnv_CAFile(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(rows(good("a"))))
	}))
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	file := filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(file, ca, 0o600))
	variables := map[string]string{"REST_ENDPOINT": server.URL, "CLUSTER_ID": "lkc-1", "BEARER_TOKEN": canary}
	for _, trusted := range []bool{false, true} {
		if trusted {
			variables["CA_FILE"] = file
		}
		cfgEnv(t, "", variables)
		cfg, err := mirror.ConfigFromEnv("")
		require.NoError(t, err)
		report, err := newClient(t, cfg).Pause(t.Context(), "link", mirror.Topics("a"))
		require.Equal(t, trusted, err == nil, err)
		require.Equal(t, trusted, report.Count(mirror.Accepted) == 1)
	}
	require.NoError(t, os.WriteFile(file, []byte("no certificate"), 0o600))
	_, err := mirror.ConfigFromEnv("")
	require.ErrorContains(t, err, "KAFKA_CA_FILE: there is no certificate in")
}

// A Config, a Client and what they hold can be printed in any form: no form has a secret in it.
func TestNoSecrets_ConfigAndClientInEveryForm(t *testing.T) {
	cfg := mirror.Config{
		Endpoint: "https://u:" + canary + "@h?" + canary, ClusterID: "lkc-1", Credential: mirror.APIKey("key", canary),
	}
	good := cfg
	good.Endpoint = "https://h"
	client := newClient(t, good)
	bearer := mirror.BearerToken(func(context.Context) (string, error) { return canary, nil }, "pool-1")
	nested := struct {
		Config mirror.Config
		Client *mirror.Client
	}{cfg, client}
	for _, v := range []any{cfg, &cfg, good, client, *client, nested, cfg.Credential, bearer, []mirror.Config{cfg}} {
		for _, verb := range "vTtbcdoqxXUeEfFgGs" {
			for _, flags := range []string{"", "+", "#", "0", " ", "-9"} {
				requireClean(t, fmt.Sprintf("%"+flags+string(verb), v))
			}
		}
		text, err := json.Marshal(v)
		requireClean(t, string(text)+fmt.Sprint(err))
		requireClean(t, logged(v))
	}
	require.Equal(t, "{Endpoint:https://h ClusterID:lkc-1}", fmt.Sprintf("%+v", client))
	require.Equal(t, "{Endpoint:https://h ClusterID:lkc-1}", fmt.Sprintf("%+v", good))
	require.Equal(t, "<nil>", fmt.Sprint((*mirror.Client)(nil)))
	require.Empty(t, (*mirror.Client)(nil).ClusterID())
	require.Equal(t, "lkc-1", client.ClusterID())
}

// requireClean holds a text to having no form of the canary in it.
func requireClean(t testing.TB, text string) {
	t.Helper()
	for _, secret := range []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "99 52 110 52 114 121", "a2V5OmM0bjRyeS1zM2NyM3Q=",
	} {
		require.NotContains(t, text, secret)
	}
}

// What a server repeats of the credential is in no form of a report, its error or the log.
func TestNoSecrets_InWhatTheServerRepeats(t *testing.T) {
	var log strings.Builder
	w := serve(t, status(307, "", "", "Location", "https://user:"+canary+"@elsewhere.example/path?token="+canary+"#"+canary))
	w.Local.Inject(mirrortest.Fault{Every: true, Do: ok("")})
	cfg := w.config()
	cfg.Logger = textLogger(&log)
	report, err := reverse(t, newClient(t, cfg), "a")
	require.ErrorContains(t, err, "https://elsewhere.example/path")
	require.Equal(t, 307, w.Requests()[0].HTTPStatus, "the secret did go out, or it were a 401")
	forms := []string{table(t, report), marshal(t, report), err.Error(), fmt.Sprintf("%+v %#v", report, err), logged(report), logged(err)}
	for _, form := range append(forms, log.String()) {
		requireClean(t, form)
	}
	require.Contains(t, log.String(), "elsewhere.example", "the log does hold what happened")
}

// Copies share transport, credential and the pause behind the rate limiter; the client that they are made of stays.
func TestClient_Copies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		pair.Local.Inject(mirrortest.Fault{Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "30")})
		client := newClient(t, pair.Local.Config())
		once := client.WithRetryFor(-1)
		require.Equal(t, client.ClusterID(), once.ClusterID())
		var other sync.WaitGroup
		other.Go(func() {
			_, err := client.Pause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
			require.NoError(t, err)
		})
		synctest.Wait()
		start := time.Now()
		_, err := once.Pause(t.Context(), pair.Link(), mirror.Topics("topic-2"))
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), 25*time.Second)
		other.Wait()

		pair.Local.Inject(mirrortest.Fault{Every: true, Do: mirrortest.RateLimited()})
		start = time.Now()
		_, err = once.Pause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
		require.ErrorIs(t, err, mirror.ErrRateLimited)
		require.Zero(t, time.Since(start), "negative is one attempt")
		_, err = once.WithRetryFor(0).Pause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
		require.ErrorIs(t, err, mirror.ErrRateLimited)
		require.Greater(t, time.Since(start), 40*time.Second, "0 is the default again")
	})
	require.Nil(t, (*mirror.Client)(nil).WithRetryFor(1))
	require.Nil(t, (*mirror.Client)(nil).WithRecorder(recorder{}))
}

// A Client is safe for concurrent use, as the race detector sees.
func TestClient_IsSafeForConcurrentUse(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
	client := newClient(t, pair.Local.Config())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := client.Validate(t.Context(), mirror.VerbReverseAndPause, pair.Link(), mirror.All())
			require.NoError(t, err)
		})
		all.Go(func() {
			_, err := client.WithRetryFor(-1).Mirrors(t.Context(), pair.Link())
			require.NoError(t, err)
			require.NotEmpty(t, fmt.Sprintf("%+v", client))
		})
	}
	all.Wait()
}

// A call has a record in the log, each wait has one at once, and there is one for each attempt at the level debug.
func TestLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		pair.Local.Inject(mirrortest.Fault{Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "30")})
		cfg := pair.Local.Config()
		var records []string
		start := time.Now()
		cfg.Logger = slog.New(handler(func(r slog.Record) {
			records = append(records, fmt.Sprint(r.Level, " ", r.Message, " after ", time.Since(start).Round(time.Second)))
		}))
		_, err := newClient(t, cfg).Validate(t.Context(), mirror.VerbPause, pair.Link(), mirror.Topics("topic-1", "nowhere"))
		require.Error(t, err)
		require.Len(t, records, 4, records)
		require.Contains(t, records[0], "DEBUG attempt after 0s")
		require.Contains(t, records[1], "WARN waiting")
		require.Contains(t, records[1], "after 0s", "before it waits")
		require.Contains(t, records[2], "DEBUG attempt after 30s")
		require.Contains(t, records[3], "WARN mirror topics not all accepted after 30s")
	})
}

// handler is a slog.Handler of a function.
type handler func(slog.Record)

func (h handler) Enabled(context.Context, slog.Level) bool { return true }
func (h handler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h handler) WithGroup(string) slog.Handler            { return h }
func (h handler) Handle(_ context.Context, r slog.Record) error {
	h(r)
	return nil
}

// The library's transport speaks HTTP/1.1 without keep-alive, and can be changed.
func TestNewTransport(t *testing.T) {
	transport := mirror.NewTransport()
	require.True(t, transport.DisableKeepAlives)
	require.True(t, transport.Protocols.HTTP1())
	require.False(t, transport.Protocols.HTTP2())
	require.NotNil(t, transport.Proxy)
	require.NotSame(t, transport, mirror.NewTransport())
	boom := errors.New("no route")
	cfg := offline(nil)
	transport.RegisterProtocol("http", roundTripper(func(r *http.Request) (*http.Response, error) {
		require.True(t, r.Close)
		require.Nil(t, r.GetBody)
		return nil, boom
	}))
	cfg.Transport = transport
	_, err := newClient(t, cfg).Mirrors(t.Context(), "link")
	require.ErrorIs(t, err, boom)
}
