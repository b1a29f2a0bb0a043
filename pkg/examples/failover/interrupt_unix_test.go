//go:build unix

package main

import (
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// The first signal lets the batch under way be answered, and no other batch is sent. The second ends the process.
func TestFailover_Interrupted(t *testing.T) {
	for what, signals := range map[string][]os.Signal{
		"INT": {os.Interrupt}, "TERM": {syscall.SIGTERM}, "INT twice": {os.Interrupt, os.Interrupt},
	} {
		t.Run(what, func(t *testing.T) {
			pair, names, process := planned(t)
			cmd := process()
			text := run(pair, cmd, func(p *os.Process, w http.ResponseWriter, r *http.Request, proper http.Handler) {
				_ = p.Signal(signals[0])
				if len(signals) == 1 {
					proper.ServeHTTP(w, r)
					return
				}
				for r.Context().Err() == nil { // until the process has taken the first signal, the second is the same one
					_ = p.Signal(signals[1])
				}
			})
			require.NotZero(t, cmd.ProcessState.ExitCode(), text)
			if len(signals) > 1 {
				require.False(t, cmd.ProcessState.Exited(), "the signal ends the process")
				requireOneBatch(t, pair, cmd.Args[1], mirror.Unknown)
				takenUp(t, pair, cmd.Args[1], names)
				return
			}
			requireOneBatch(t, pair, cmd.Args[1], mirror.Accepted)
			out, err := process().CombinedOutput() // nothing is unknown, so the process has no wait
			require.NoError(t, err, string(out))
			requireReversedOnce(t, pair, names)
		})
	}
}
