package main

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestTokenFile_IsReadForEachRequest(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a")})
	delete(s.env, "KAFKA_API_KEY")
	delete(s.env, "KAFKA_API_SECRET")
	s.env["KAFKA_BEARER_TOKEN_FILE"], s.env["KAFKA_IDENTITY_POOL_ID"] = s.path("token"), "pool-1"
	write := func(token string) {
		s.pair.Local.AcceptToken(token, "pool-1")
		require.NoError(t, os.WriteFile(s.path("token"), []byte(token), 0o600))
	}
	write("token-1")
	s.pair.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Handle(
		func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
			s.pair.Local.RevokeToken("token-1")
			write("token-2")
			proper.ServeHTTP(w, r)
		})})
	o := s.run("plan", "pause", "dr-link", "--all")
	require.Equal(t, 0, o.code, o.err)
	require.Len(t, s.pair.Requests(), 2)
}

func TestClusterWithoutVariables_IsToldWithThoseThatThereAre(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{})
	o := s.run("status", "dr-link", "--cluster", "lkc-9")
	require.Equal(t, exitWrongUse, o.code)
	require.Contains(t, o.err, `cluster "lkc-9": one set is about "lkc-local"; one set is about "lkc-remote"`)
	delete(s.env, "OTHER_KAFKA_REST_ENDPOINT")
	o = s.run("status", "dr-link", "--cluster", "lkc-9")
	require.Contains(t, o.err, `one set is about "lkc-local"; OTHER_KAFKA_REST_ENDPOINT is not set`)
}

func TestHTTP_IsRefusedWithoutASettingThatTheCommandDoesNotHave(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{})
	s.env["KAFKA_REST_ENDPOINT"] = "http://kafka.example.com"
	o := s.run("status", "dr-link")
	require.Equal(t, exitWrongUse, o.code)
	require.Contains(t, o.err, "use https\n")
}
