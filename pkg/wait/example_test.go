package wait_test

import (
	"context"
	"fmt"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// A reversal, and the wait until both clusters show that it is done. The progress of a wait that did not end in success
// says for each topic what to do.
func ExampleDone() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		panic(err)
	}
	defer pair.Close()
	local, _ := mirror.NewClient(pair.Local.Config())
	remote, _ := mirror.NewClient(pair.Remote.Config())

	ctx := context.Background()
	report, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1", "topic-2"))
	if err != nil {
		fmt.Println(err) // an unknown outcome is settled by the wait
	}
	progress, err := wait.Done(ctx, report, wait.Options{This: local, Other: remote})
	if err != nil {
		_ = progress.Table(os.Stdout)
		return
	}
	fmt.Println(progress)
	// Output:
	// reverse-and-pause-mirror, link "dr-link": producers may move to lkc-local: 2 of 2; consumer offsets were not checked
}
