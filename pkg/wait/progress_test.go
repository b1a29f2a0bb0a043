package wait_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// A progress that was read back says the same, and gives its report with the settled outcomes.
func TestProgress_SurvivesJSON(t *testing.T) {
	for name, s := range map[string]situation{
		"done": {verb: failover, this: "STOPPED+", more: two("STOPPED+", ""), stage: "done", err: "nil", noDate: true},
		"refused and never sent": {this: "STOPPED+", other: "PAUSED+", noDate: true, more: map[string][2]string{"b": {}, "c": {}},
			stage: "done", err: "other", set: func(e *env) {
				e.report.Results[1].Outcome, e.report.Results[1].Code = mirror.Failed, 403
				e.report.Results[2].Outcome = mirror.Untouched
			}},
		"stuck":        {this: "PENDING_STOPPED+/9:9", other: "none", outcome: mirror.Accepted, stage: "in progress", err: "stalled"},
		"OnPoll ended": {verb: pause, this: "PAUSED+", outcome: mirror.Accepted, stage: "done", err: "OnPoll", set: onPoll(1)},
		"lost":         {this: "STOPPED+", other: "PAUSED+", stage: "done", err: "other", set: func(e *env) { e.report.Lost = true }},
	} {
		s.name = name
		s.check = func(e *env) {
			e.report.Results[0].Lags = []mirror.PartitionLag{{Lag: 5}}
			text, err := json.Marshal(e.p)
			require.NoError(e, err)
			var back wait.Progress
			require.NoError(e, json.Unmarshal(text, &back))
			require.Equal(e, table(e, e.p), table(e, &back))
			require.Equal(e, e.err == nil, back.Err() == nil)
			if e.err != nil {
				require.Equal(e, e.err.Error(), back.Err().Error())
			}
			for i, res := range e.p.Report().Results {
				require.Equal(e, res.Outcome, back.Report().Results[i].Outcome)
				require.Equal(e, res.Settled, back.Report().Results[i].Settled)
			}
			var form struct {
				Version int
				Counts  map[string]int
				Topics  []struct{ Stage, Outcome string }
			}
			require.NoError(e, json.Unmarshal(text, &form))
			require.Equal(e, 1, form.Version)
			require.Equal(e, e.p.Count(wait.StageDone), form.Counts["done"])
			require.Equal(e, string(e.p.Waited[0].Stage), form.Topics[0].Stage)
			require.NotContains(e, string(text), "last_source_fetch_offset")
			again, err := json.Marshal(&back)
			require.NoError(e, err)
			require.JSONEq(e, string(text), string(again))
		}
		t.Run(name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	var p wait.Progress
	require.ErrorContains(t, json.Unmarshal([]byte(`{"version":2}`), &p), "version 2")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"version":1}`), &p), "no report")
}

// What is settled says what was seen, and is Accepted; the report that was given stays as it is.
func TestProgress_ReportSettlesWhatWasSeen(t *testing.T) {
	s := situation{name: "settled", this: "STOPPED+", other: "PAUSED-", noDate: true, more: two("PENDING_STOPPED+", "none"), stage: "done",
		err: "stalled", check: func(e *env) {
			r := e.p.Report()
			require.Equal(e, mirror.Accepted, r.Results[0].Outcome)
			require.Contains(e, r.Results[0].Settled, "it was STOPPED on lkc-local at 2000-01-01T01:0")
			require.Contains(e, r.Results[0].Settled, "it was PAUSED on lkc-remote at 2000-01-01T01:0")
			require.Contains(e, r.Results[0].Settled, "it was PAUSED on lkc-remote before this call")
			require.True(e, r.Results[0].Done)
			require.Equal(e, mirror.Unknown, r.Results[1].Outcome)
			require.Equal(e, mirror.Unknown, e.report.Results[0].Outcome)
			require.ErrorIs(e, e.err, mirror.ErrOutcomeUnknown)
			require.Equal(e, []string{"b"}, e.p.Topics(wait.StageInProgress))
		}}
	synctest.Test(t, s.run)
}
