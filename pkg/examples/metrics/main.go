// Metrics is a program to copy. It serves the mirror topics of a link as metrics for Prometheus, and reads them anew
// for each scrape. Watch the statuses too: after the loss of the source, the lag can be 0. See mirror.ConfigFromEnv
// for the cluster.
//
//	metrics localhost:9090 dr-link
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

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
	server := http.Server{Addr: os.Args[1], Handler: metrics(client, os.Args[2]), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func metrics(client *mirror.Client, link string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		listing, err := client.Mirrors(r.Context(), link)
		if err != nil { // also if the list is not complete; Prometheus shows the target as down
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		write(w, listing)
	}
}

func write(w io.Writer, listing *mirror.Listing) {
	_, _ = fmt.Fprintln(w, "# TYPE clusterlink_mirror_lag_messages gauge")
	count := map[mirror.Status]int{}
	for _, m := range listing.Mirrors {
		count[m.Status]++
		// The lag of a stopped mirror is left over, and a lag that is not known is not 0.
		if lag := m.Lag(); m.Status != mirror.StatusStopped && lag.Partitions == m.Partitions {
			_, _ = fmt.Fprintf(w, "clusterlink_mirror_lag_messages{link=%q,topic=%q} %d\n", listing.Link, m.Topic, lag.Total)
		}
	}
	_, _ = fmt.Fprintln(w, "# TYPE clusterlink_mirror_topics gauge")
	for status, n := range count {
		_, _ = fmt.Fprintf(w, "clusterlink_mirror_topics{link=%q,status=%q} %d\n", listing.Link, status, n)
	}
}
