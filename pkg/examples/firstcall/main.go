// Firstcall is a program to copy. The program prints the table of a dry run of a reversal. The program changes
// nothing.
//
//	firstcall dr-link orders payments
//
// The cluster that holds the mirror topics comes from KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID, KAFKA_API_KEY and
// KAFKA_API_SECRET. The exit code is 0 only if the cluster would accept all topics.
package main

import (
	"context"
	"log"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: firstcall LINK TOPIC...")
	}
	cfg, err := mirror.ConfigFromEnv("")
	if err != nil {
		log.Fatal(err)
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	link, topics := os.Args[1], mirror.Topics(os.Args[2:]...)
	report, err := client.Validate(context.Background(), mirror.VerbReverseAndPause, link, topics)
	if err := report.Table(os.Stdout); err != nil { // there is a report also beside an error
		log.Fatal(err)
	}
	if err != nil {
		log.Fatal(err)
	}
}
