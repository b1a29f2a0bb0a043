package wait_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// What two clusters can show and go on showing, for each verb.
func TestStage_WhatTheClustersShow(t *testing.T) {
	var all []situation
	for _, p := range []struct {
		verb        mirror.Verb
		this, other string
		stage       string
		note        string
	}{
		// The goal, on both clusters.
		{reverse, "STOPPED+", "PAUSED+", "done", ""},
		{reverse, "STOPPED?", "PAUSED?", "in progress, then done", "how long it has been STOPPED on lkc-local is not known"},
		{reverse, "STOPPED-", "PAUSED-", "no sign, then done", "it was PAUSED on lkc-remote before this call"},
		{reverse, "STOPPED-", "PAUSED+", "in progress, then done", "it was STOPPED on lkc-local before this call"},
		{reverse, "STOPPED+", "PAUSED-", "in progress, then done", "it was PAUSED on lkc-remote before this call"},
		{reverse, "STOPPED<9>", "PAUSED<9>", "done", ""},
		{reverse, "STOPPED<12>", "PAUSED+", "in progress, then done", "before this call"},
		{reverse, "STOPPED+", "ACTIVE+", "done", "already resumed on lkc-remote"},
		{reverse, "STOPPED+", "ACTIVE-", "in progress, then done", "already resumed on lkc-remote"},
		{start, "STOPPED+", "ACTIVE+", "done", ""},
		{start, "STOPPED-", "ACTIVE+", "in progress, then done", "before this call"},
		{start, "STOPPED?", "ACTIVE+", "in progress, then done", "is not known"},
		{promote, "STOPPED+", "", "done", ""},
		{promote, "STOPPED-", "", "no sign, then done", "it was STOPPED on lkc-local before this call"},
		{promote, "STOPPED?", "", "in progress, then done", "is not known"},
		{failover, "STOPPED+", "", "done", ""},
		{failover, "STOPPED-", "", "no sign, then done", "before this call"},
		{pause, "PAUSED+", "", "done", ""},
		{pause, "PAUSED-", "", "no sign, then done", "it was PAUSED on lkc-local before this call"},
		{resume, "ACTIVE+", "", "done", ""},
		{resume, "ACTIVE-", "", "no sign, then done", "before this call"},
		{restore, "ACTIVE+", "", "done", ""},
		{restore, "ACTIVE?", "", "in progress, then done", "is not known"},
		// Something moves.
		{reverse, "PENDING_STOPPED+", "none", "in progress", ""},
		{reverse, "PENDING_STOPPED+", "PENDING_MIRROR+", "in progress", ""},
		{reverse, "STOPPED+", "PENDING_MIRROR+", "in progress", ""},
		{reverse, "ACTIVE-", "PENDING_MIRROR+", "in progress", ""},
		{reverse, "STOPPED+", "none", "in progress", "lkc-remote has no mirror of it, as after a promote or a failover"},
		{reverse, "STOPPED+", "STOPPED-", "in progress", "lkc-remote has no mirror of it"},
		{reverse, "STOPPED?", "none", "in progress", "lkc-remote has no mirror of it"},
		{reverse, "PENDING_NEW+", "none", "in progress", "a status that this library does not know"},
		{reverse, "SOURCE_UNAVAILABLE+", "none", "in progress", "which can hide a change"},
		{reverse, "PENDING_STOPPED?", "none", "in progress", ""},
		{start, "STOPPED+", "PENDING_SYNCHRONIZE+", "in progress", ""},
		{reverse, "ACTIVE-", "PAUSED+", "in progress", ""},
		{start, "ACTIVE-", "PAUSED+", "in progress", ""},
		{start, "STOPPED+", "none", "in progress", "lkc-remote has no mirror of it"},
		{promote, "PENDING_SYNCHRONIZE+", "", "in progress", ""},
		{promote, "PENDING_STOPPED?", "", "in progress", ""},
		{promote, "PENDING_RESTORE+", "", "in progress", "PENDING_RESTORE is not on the way of promote"},
		{promote, "LINK_PAUSED+", "", "in progress", "can hide a change"},
		{promote, "LINK_FAILED+", "", "in progress", "can hide a change"},
		{resume, "PENDING_MIRROR+", "", "in progress", "not on the way"},
		{resume, "PENDING_SYNCHRONIZE+", "", "in progress", ""},
		{failover, "PENDING_STOPPED+", "", "in progress", ""},
		{restore, "PENDING_RESTORE+", "", "in progress", ""},
		{restore, "PENDING_SETUP_FOR_RESTORE+", "", "in progress", ""},
		// No sign of it.
		{reverse, "ACTIVE-", "none", "no sign", ""},
		{reverse, "ACTIVE+", "none", "no sign", ""},
		{reverse, "PAUSED+", "STOPPED-", "no sign", ""},
		{reverse, "ACTIVE-", "PAUSED-", "no sign", "it was PAUSED on lkc-remote before this call"},
		{reverse, "STOPPED-", "none", "no sign", "was STOPPED on lkc-local before this call"},
		{reverse, "PENDING_STOPPED-", "none", "no sign", "was PENDING_STOPPED on lkc-local before this call"},
		{reverse, "SOURCE_UNAVAILABLE-", "none", "no sign", "which can hide a change"},
		{reverse, "FAILED-", "none", "no sign", "was FAILED on lkc-local before this call"},
		{reverse, "FAILED?", "none", "no sign", "how long it has been FAILED on lkc-local is not known"},
		{reverse, "none", "none", "no sign", "lkc-local has never listed it: is the name right?"},
		{start, "ACTIVE-", "STOPPED-", "no sign", ""},
		{promote, "ACTIVE-", "", "no sign", ""},
		{promote, "none", "", "no sign", "lkc-local has never listed it: is the name right?"},
		{promote, "FAILED-", "", "no sign", "before this call"},
		{failover, "SOURCE_UNAVAILABLE+", "", "no sign", "can hide a finished failover: try one produce"},
		{failover, "FAILED-", "", "no sign", ""},
		{failover, "LINK_FAILED+", "", "no sign", ""},
		{pause, "ACTIVE+", "", "no sign", ""},
		{pause, "STOPPED-", "", "no sign", "was STOPPED on lkc-local before this call"},
		{resume, "PAUSED+", "", "no sign", ""},
		{resume, "LINK_PAUSED-", "", "no sign", "LINK_PAUSED on lkc-local"},
		{restore, "STOPPED+", "", "no sign", ""},
		{restore, "none", "", "no sign", ""},
		// It does not come on by itself.
		{reverse, "FAILED+", "none", "blocked", "it is FAILED on lkc-local"},
		{reverse, "STOPPED+", "FAILED+", "blocked", "it is FAILED on lkc-remote"},
		{start, "STOPPED+", "PAUSED+", "blocked", "it is PAUSED on lkc-remote"},
		{start, "STOPPED-", "PAUSED-", "blocked", "it is PAUSED on lkc-remote"},
		{start, "FAILED+", "none", "blocked", "it is FAILED on lkc-local"},
		{promote, "FAILED+", "", "blocked", "it is FAILED"},
		{failover, "FAILED+", "", "blocked", "it is FAILED"},
		{pause, "STOPPED+", "", "blocked", "it has become STOPPED"},
		{pause, "FAILED+", "", "blocked", "it is FAILED"},
		{resume, "STOPPED+", "", "blocked", "it has become STOPPED"},
		{restore, "PAUSED+", "", "blocked", "it has become PAUSED"},
	} {
		name := fmt.Sprintf("%s: %s", p.verb, p.this)
		if p.other != "" {
			name += ", " + p.other
		}
		s := situation{name: name, verb: p.verb, this: p.this, other: p.other, notes: []string{p.note}, stage: p.stage, err: p.stage}
		switch p.stage {
		case "done":
			s.err, s.lists = "nil", "1"
		case "no sign, then done", "in progress, then done":
			before, _, _ := strings.Cut(p.stage, ",")
			s.stage, s.err, s.lists = "done", "nil", "6-7"
			s.check = func(e *env) {
				for _, p := range e.polls { // with a list of each cluster, and up to the first that is done
					switch stage := p.Waited[0].Stage; {
					case stage == wait.StageDone:
						return
					case p.Clusters[0].Lists > 0 && p.Clusters[len(p.Clusters)-1].Lists > 0:
						require.Equal(e, before, string(stage))
					}
				}
			}
		case "in progress":
			s.err, s.lists = "stalled", "28-30"
		case "no sign":
			s.lists = "20-23"
		case "blocked":
			s.lists = "5-7"
		}
		all = append(all, s)
	}
	runAll(t, all)
}
