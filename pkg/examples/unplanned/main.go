// Unplanned is a program to copy. After the loss of the source the first form makes the mirror topics writable. When
// the old cluster is back the second form makes its topics mirrors. The way back is a planned failover.
//
//	unplanned -link dr-link                            on the surviving cluster; all topics or the named topics
//	unplanned -link dr-link -restore 1000 orders ...   on the old cluster; deletes at most 1000 messages of each topic
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

func main() {
	link := flag.String("link", "", "the `name` of the cluster link")
	limit := flag.Int64("restore", -1, "make the topics mirrors, and delete at most `so many` messages of each")
	flag.Parse()
	cfg, err1 := mirror.ConfigFromEnv("") // KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID, KAFKA_API_KEY, KAFKA_API_SECRET
	client, err2 := mirror.NewClient(cfg)
	err := errors.Join(err1, err2)
	if err == nil {
		err = run(context.Background(), client, *link, *limit, flag.Args())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, client *mirror.Client, link string, limit int64, topics []string) error {
	var report *mirror.Report
	if limit < 0 {
		listing, err := client.Mirrors(ctx, link, topics...)
		if err != nil {
			return err
		}
		fmt.Println("lag, if the source still answers:", listing.Lag()) // a lost source can show no lag
		if len(topics) == 0 {
			topics = listing.Topics() // topics that have not stopped, so the program may be run again
		}
		report, _ = client.Failover(ctx, link, mirror.Topics(topics...))
	} else {
		plan, err := client.Validate(ctx, mirror.VerbTruncateAndRestore, link, mirror.Topics(topics...))
		if err := errors.Join(plan.Table(os.Stdout), err); err != nil {
			return err
		}
		report, _ = client.TruncateAndRestore(ctx, plan, limit)
	}
	if err := report.Table(os.Stdout); err != nil { // which topics were refused, and why
		return err
	}
	// Done accounts for all topics of the report, so its error replaces the error of the call.
	progress, err := wait.Done(ctx, report, wait.Options{This: client})
	return errors.Join(progress.Table(os.Stdout), err)
}
