package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestExitCode_RefusedTopics(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a", "b", "c")})
	s.pair.Local.Inject(mirrortest.Fault{Topic: "b", Every: true, Do: mirrortest.Refuse(400, "no such thing as b")})
	o := s.run("plan", "pause", "dr-link", "a", "b", "c", "--job", "x.job")
	require.Equal(t, exitRefused, o.code, o.err)
	require.NoFileExists(t, s.path("x.job"))
	require.Contains(t, o.out, "no job was written")
	o = s.run(o.next(t)...)
	require.Equal(t, 0, o.code, o.err)
	o = s.run(o.next(t)...)
	require.Equal(t, 0, o.code, o.err)

	o = s.run("check", "pause", "dr-link", "a", "b")
	require.Equal(t, exitRefused, o.code)
	require.Contains(t, o.out, "a: PAUSED, and pause does not start from that")
}

func TestRefusals_ThatDifferInTheNameAreOneLine(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics(numbered(50)...)})
	for _, name := range numbered(50) {
		s.pair.Local.SetStatus(name, mirror.StatusStopped)
	}
	for _, quoted := range []string{"'$1'", `\"$1\"`, "$1"} {
		s.pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Handle(
			func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				answer := httptest.NewRecorder()
				proper.ServeHTTP(answer, r)
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(regexp.MustCompile(`'(topic-\d+)'`).ReplaceAll(answer.Body.Bytes(), []byte(quoted)))
			})})
		o := s.run(append([]string{"plan", "pause", "dr-link"}, numbered(50)...)...)
		require.Equal(t, exitRefused, o.code, o.err)
		require.Equal(t, 1, strings.Count(o.out, "does not allow pause"), o.out)
	}
}
