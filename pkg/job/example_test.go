package job_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// A planned failover whose first answer is lost. The topics are not sent again: Wait finds that they were reversed. A
// process that is killed runs the same function again. pkg/examples/failover is this as a program, with the lag gate.
func Example() {
	pair, folder := twoClusters()
	defer pair.Close()
	defer os.RemoveAll(folder)

	failover := func(ctx context.Context, local, other *mirror.Client, path string, topics ...string) error {
		j, err := job.Open(path)
		if errors.Is(err, job.ErrNoJob) { // the first run
			plan, err := local.Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics(topics...))
			if err != nil {
				return err
			}
			if j, err = job.Create(path, plan, job.Options{}); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		defer j.Close()
		report, notSent := j.Run(ctx, local)
		fmt.Println(report)
		progress, err := j.Wait(ctx, wait.Options{This: local, Other: other})
		fmt.Println(progress.Count(wait.StageDone), "done")
		if err != nil {
			return errors.Join(notSent, err)
		}
		return nil
	}

	local, err1 := mirror.NewClient(pair.Local.Config())
	other, err2 := mirror.NewClient(pair.Remote.Config())
	path := filepath.Join(folder, "friday.job")
	fmt.Println(errors.Join(err1, err2, failover(context.Background(), local, other, path, "orders", "refunds")))
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 0 accepted, 0 failed, 2 unknown, 0 untouched
	// 2 done
	// <nil>
}

// twoClusters are clusters for the example, whose first answer is lost, and a folder to work in.
func twoClusters() (*mirrortest.Pair, string) {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders"}, {Name: "refunds"},
	}})
	if err != nil {
		panic(err)
	}
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	folder, err := os.MkdirTemp("", "job")
	if err != nil {
		panic(err)
	}
	return pair, folder
}
