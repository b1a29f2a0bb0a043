//go:build unix

package main

import (
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The first signal lets the batch under way be answered, and no other batch is sent. The second ends the process.
func TestFailover_Interrupted(t *testing.T) {
	for what, signals := range map[string][]os.Signal{
		"INT": {os.Interrupt}, "TERM": {syscall.SIGTERM}, "INT twice": {os.Interrupt, os.Interrupt},
	} {
		t.Run(what, func(t *testing.T) {
			pair, names, program := planned(t)
			cmd := program()
			pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Handle(
				func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
					for range signals {
						// Until the process has taken one signal, a second is the same one.
						_ = cmd.Process.Signal(signals[0])
					}
					if len(signals) == 1 {
						proper.ServeHTTP(w, r)
						return
					}
					for r.Context().Err() == nil {
						_ = cmd.Process.Signal(signals[1])
					}
				},
			)})
			out, err := cmd.CombinedOutput()
			require.Error(t, err, string(out))
			require.Zero(t, pair.Local.Sent("t599"), string(out))

			out, err = program().CombinedOutput()
			if err != nil { // it settled what was unknown
				out, err = program().CombinedOutput()
			}
			require.NoError(t, err, string(out))
			requireReversedOnce(t, pair, names)
		})
	}
}
