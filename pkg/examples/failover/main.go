// Failover is a program to copy: a planned failover. The program may be killed and run again. Its arguments are a file,
// the link and the topics. The clusters come from KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID, KAFKA_API_KEY and
// KAFKA_API_SECRET, and for the other cluster from the same names with OTHER_ in front.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process
	if len(os.Args) < 4 {
		log.Fatal("usage: failover FILE LINK TOPIC...")
	}
	here, err1 := mirror.ConfigFromEnv("")
	there, err2 := mirror.ConfigFromEnv("OTHER_")
	local, err3 := mirror.NewClient(here)
	other, err4 := mirror.NewClient(there)
	err := errors.Join(err1, err2, err3, err4)
	if err == nil {
		err = failover(ctx, local, other, os.Args[1], os.Args[2], os.Args[3:])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func failover(ctx context.Context, local, other *mirror.Client, path, link string, topics []string) (err error) {
	j, err := job.Open(path)
	if errors.Is(err, job.ErrNoJob) { // the first run
		if _, err = wait.CaughtUp(ctx, local, link, topics, wait.LagOptions{Other: other}); err != nil {
			return err
		}
		plan, refused := local.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics(topics...))
		if refused != nil {
			return refused
		}
		j, err = job.Create(path, plan, job.Options{})
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	report, notSent := j.Run(ctx, local)
	fmt.Println(report)
	progress, err := j.Wait(ctx, wait.Options{This: local, Other: other}) // also for a batch whose answer was lost
	if err != nil {
		err = errors.Join(notSent, err)
	}
	return errors.Join(err, progress.Table(os.Stdout))
}
