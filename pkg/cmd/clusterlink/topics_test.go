package main

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestTopics(t *testing.T) {
	s := newShell(t, mirrortest.Options{Topics: append(topics("eu.a", "eu.b", "us.a"),
		mirrortest.Topic{Name: "stopped", Status: mirror.StatusStopped})})
	require.NoError(t, os.WriteFile(s.path("names"), []byte("\ufeff# all\r\neu.a # the first\r\n\r\nus.a"), 0o600))
	for line, want := range map[string]string{
		"us.a eu.a": "us.a eu.a", "--all": "eu.a eu.b us.a", "--prefix eu. --prefix us": "eu.a eu.b us.a",
		"--all --exclude eu.* --exclude x": "us.a", "--topics-from names": "eu.a us.a", "--topics-from -": "eu.b",
		"us.a --topics-from - --exclude us.a": "eu.b",
	} {
		args := append([]string{"plan", "pause", "dr-link", "-o", "json"}, strings.Fields(line)...)
		o := s.inside("eu.b\n", args...)
		require.Equal(t, 0, o.code, o.err)
		require.Equal(t, strings.Fields(want), o.document(t).Report.Topics(mirror.Accepted), line)
	}
}

func TestTopicsLeftOut_AreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := append(topics("eu.a", "eu.b", "us.a"), mirrortest.Topic{Name: "stopped", Status: mirror.StatusStopped},
			mirrortest.Topic{Name: "eu.paused", Status: mirror.StatusPaused})
		s := newShell(t, mirrortest.Options{Topics: all, InMemory: true})
		const whole = "2 of 5 mirrors left out: eu.paused is PAUSED; stopped is STOPPED"
		const eu = "1 of 3 mirrors left out: eu.paused is PAUSED"
		require.Contains(t, s.inside("x", "plan", "pause", "dr-link", "--all", "--job", "x.job").err, whole)
		require.Contains(t, s.inside("x", "plan", "pause", "dr-link", "--prefix", "eu.").err, eu)
		require.Contains(t, s.inside("x", "check", "pause", "dr-link").err, whole)
		require.Contains(t, s.inside("no", "apply", "x.job").err, whole, "before the question")
		require.NotContains(t, s.inside("x", "plan", "pause", "dr-link", "us.a").err, "left out", "it was named")
		d := s.inside("x", "plan", "pause", "dr-link", "--all", "-o", "json").document(t)
		require.Equal(t, map[string][]string{"STOPPED": {"stopped"}, "PAUSED": {"eu.paused"}}, d.LeftOut)
	})
}

func TestTopicsOf_AJobThatIsNotFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b", "c", "d"), InMemory: true, Takes: time.Second})
		s.pair.Local.SetReasons("b", mirrortest.Reason{Code: "AUTHORIZATION_ERROR"})
		s.inside("x", "plan", "failover", "dr-link", "a", "b", "c", "--job", "x.job")
		s.pair.Local.Inject(mirrortest.Fault{Topic: "c", Nth: 2, Do: mirrortest.Refuse(400, "not c")})
		o := s.inside("dr-link\n", "apply", "x.job", "--patience", "1m")
		require.Equal(t, exitLook, o.code, o.err)
		require.Contains(t, o.err, "1 of 2 done, 1 in progress; b: AUTHORIZATION_ERROR")
		for which, want := range map[string]string{":done": "a", ":refused": "c", "": "a b c"} {
			names, err := topicsOf("x.job" + which)
			require.NoError(t, err)
			require.Equal(t, strings.Fields(want), names, which)
		}
		_, err := topicsOf("x.job:remaining")
		require.ErrorIs(t, err, mirror.ErrNoTopics)

		s.pair.Local.SetReasons("b")
		require.Equal(t, exitRefused, s.inside("", "wait", "x.job").code, "c was refused, and the rest is done")
	})
}
