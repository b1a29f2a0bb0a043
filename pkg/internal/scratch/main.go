package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func main() {
	n := flag.Int("n", 500, "")
	parts := flag.Int("p", 1, "")
	mode := flag.String("mode", "", "")
	takes := flag.Duration("takes", 3*time.Second, "")
	flag.Parse()
	var topics []mirrortest.Topic
	for i := range *n {
		t := mirrortest.Topic{Name: fmt.Sprintf("topic-%05d", i)}
		for range *parts {
			t.Partitions = append(t.Partitions, mirrortest.Partition{LastSourceFetchOffset: 340})
		}
		if *mode == "three" && (i == 7 || i == 99 || i == 250) {
			t.Status = mirror.StatusFailed
		}
		topics = append(topics, t)
	}
	pair, err := mirrortest.Start(mirrortest.Options{Topics: topics, Takes: *takes})
	if err != nil {
		panic(err)
	}
	if *mode == "three" {
		pair.Local.SetGroup(mirrortest.Group{ID: "billing", State: "STABLE", Topics: []string{"topic-00042"}})
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	}
	http.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {
		pair.Local.SetGroup(mirrortest.Group{ID: "billing", State: "EMPTY"})
	})
	http.HandleFunc("/pause", func(http.ResponseWriter, *http.Request) {
		pair.Local.SetStatus("topic-00003", mirror.StatusPaused)
		pair.Local.SetStatus("topic-00004", mirror.StatusPaused)
	})
	http.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) {
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, p http.Handler) { <-r.Context().Done() })})
	})
	for i, prefix := range []string{"", "OTHER_"} {
		c := []*mirrortest.Cluster{pair.Local, pair.Remote}[i]
		key, secret := c.APIKey()
		fmt.Printf("export %[1]sKAFKA_REST_ENDPOINT=%[2]s %[1]sKAFKA_CLUSTER_ID=%[3]s %[1]sKAFKA_API_KEY=%[4]s %[1]sKAFKA_API_SECRET=%[5]s\n", prefix, c.Endpoint, c.ID, key, secret)
	}
	os.Stdout.Close()
	http.ListenAndServe("127.0.0.1:8199", nil)
}
