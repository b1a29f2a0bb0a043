//go:build unix

package main

import (
	"bytes"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// heard is what a program has printed so far.
type heard struct {
	text        bytes.Buffer
	once        sync.Once
	interrupted chan struct{} // closed when the program said that it was
}

func (h *heard) Write(p []byte) (int, error) {
	n, err := h.text.Write(p)
	if bytes.Contains(h.text.Bytes(), []byte("interrupt again to give up")) {
		h.once.Do(func() { close(h.interrupted) })
	}
	return n, err
}

// interrupted runs the program, which is interrupted so often while its first batch is answered.
func interrupted(t *testing.T, j *job, times int) (int, string) {
	t.Helper()
	cmd := j.command("dr-link", j.args...)
	out := heard{interrupted: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &out, &out
	j.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Handle(
		func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
			_ = cmd.Process.Signal(os.Interrupt)
			<-out.interrupted
			if times == 1 {
				proper.ServeHTTP(w, r)
				return
			}
			_ = cmd.Process.Signal(os.Interrupt)
			<-r.Context().Done() // the program gives up
		},
	)})
	require.NoError(t, cmd.Start())
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.text.String()
}

// The first interrupt lets the batch under way come to its end, and sends no other.
func TestFailover_InterruptedOnce(t *testing.T) {
	j := newJob(t, 600) // two batches, after the two of the dry run
	code, out := interrupted(t, j, 1)
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "500 accepted, 0 failed, 0 unknown, 100 untouched")
	require.Contains(t, out, "interrupted: run it again to go on")
	require.Zero(t, j.Local.Requests("t599"))

	code, out = j.run("dr-link", j.args...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "100 of 100 would be accepted")
	require.Contains(t, out, "clients may move: 600 of 600\n")
	j.requireReversedOnce(t)
}

// The second interrupt gives the batch up. The journal knows of it, and following finds out.
func TestFailover_InterruptedTwice(t *testing.T) {
	j := newJob(t, 600)
	code, out := interrupted(t, j, 2)
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "0 accepted, 0 failed, 500 unknown, 100 untouched")

	code, out = j.run("dr-link", j.args...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "clients may move: 600 of 600\n")
	j.requireReversedOnce(t)
}
