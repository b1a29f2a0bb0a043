package main

import (
	"os"
	"strings"
	"testing"

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
