// Metrics is a program to copy: the mirror topics of a link as metrics for Prometheus, read anew for each scrape.
//
//	metrics localhost:9090 dr-link
//
// The cluster that holds the mirror topics comes from KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID, KAFKA_API_KEY and
// KAFKA_API_SECRET. Alert on the statuses too: the mirror of a source that is lost can show lag 0.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: metrics ADDRESS LINK")
	}
	cfg, err := mirror.ConfigFromEnv("")
	if err != nil {
		log.Fatal(err)
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%v/metrics\n", listener.Addr())
	log.Fatal(http.Serve(listener, metrics(client, os.Args[2])))
}

func metrics(client *mirror.Client, link string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		listing, err := client.Mirrors(r.Context(), link)
		if err != nil { // also if the list is not complete; to Prometheus the target is down
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		count := map[mirror.Status]int{}
		for _, m := range listing.Mirrors {
			count[m.Status]++
			// The lag of a stopped mirror is left over, and a lag that is not known is not 0.
			if lag := m.Lag(); m.Status != mirror.StatusStopped && lag.Partitions == m.Partitions {
				_, _ = fmt.Fprintf(w, "clusterlink_mirror_lag_messages{link=%q,topic=%q} %d\n", link, m.Topic, lag.Total)
			}
		}
		for status, n := range count {
			_, _ = fmt.Fprintf(w, "clusterlink_mirror_topics{link=%q,status=%q} %d\n", link, status, n)
		}
	}
}
