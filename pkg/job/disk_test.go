package job

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// fullDisk is a file on a disk that is full from the n-th write on, or whose n-th sync fails. A write that
// fails leaves half of its bytes.
type fullDisk struct {
	*os.File
	writes, syncs       int
	failWrite, failSync int
	forever             bool
}

func (d *fullDisk) WriteAt(p []byte, at int64) (int, error) {
	if d.writes++; d.writes == d.failWrite || d.forever && d.failWrite > 0 && d.writes > d.failWrite {
		n, _ := d.File.WriteAt(p[:len(p)/2], at)
		return n, syscall.ENOSPC
	}
	return d.File.WriteAt(p, at)
}

func (d *fullDisk) Sync() error {
	if d.syncs++; d.syncs == d.failSync {
		return syscall.EIO
	}
	return d.File.Sync()
}

// Whatever write or sync fails, the run stops before a batch whose line is not on disk, nothing that was sent
// is forgotten, and the journal can be taken up again.
func TestJournal_ADiskThatFails(t *testing.T) {
	names := []string{"a", "b", "c"}
	var topics []mirrortest.Topic
	for _, name := range names {
		topics = append(topics, mirrortest.Topic{Name: name})
	}
	for n := 1; n <= 8; n++ {
		for _, d := range []fullDisk{{failWrite: n}, {failWrite: n, forever: true}, {failSync: n}} {
			t.Run(fmt.Sprintf("write %d sync %d forever %v", d.failWrite, d.failSync, d.forever), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "job")
				pair := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
				j, err := Open(path)
				require.NoError(t, err)
				d.File = j.file.(*os.File)
				j.file = &d
				cfg := pair.Local.Config()
				cfg.BatchSize = 1
				client, err := mirror.NewClient(j.Attach(cfg))
				require.NoError(t, err)
				report, err := client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics(names...))
				if n <= 7 { // the job, and two lines for each batch
					require.ErrorContains(t, err, path+" could not be written")
				} else {
					require.NoError(t, err)
				}
				require.NoError(t, j.Close())

				j, err = Open(path)
				require.NoError(t, err)
				known, err := j.Report()
				require.NoError(t, err)
				for _, name := range names {
					sent := pair.Local.Requests(name) > 0
					inCall, _ := report.Result(name)
					res, found := known.Result(name)
					require.Equal(t, sent, inCall.Outcome == mirror.Accepted)
					require.False(
						t, sent && (!found || res.Outcome == mirror.Untouched), "%s was sent, and is not in the journal", name,
					)
				}
				client, err = mirror.NewClient(j.Attach(cfg))
				require.NoError(t, err)
				if left := known.Remaining(names...); len(left) > 0 {
					_, err = client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics(left...))
					require.NoError(t, err)
				}
				require.NoError(t, j.Close())
				pair.Local.AssertSentOnce(t)
				for _, name := range names {
					require.Equal(t, 1, pair.Local.Applied(name))
				}
			})
		}
	}
}
