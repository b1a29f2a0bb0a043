package mirror_test

import (
	"context"
	"fmt"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The local mirror becomes writable, and what was its source becomes a mirror of it, which waits for Resume.
func ExampleClient_ReverseAndPause() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	report, err := local.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err)
	fmt.Println("here:", pair.Local.Status("orders"), "there:", pair.Remote.Status("orders"))
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// here: STOPPED there: PAUSED
}

// As ReverseAndPause, but data flows back at once: there is no intact copy to go back to.
func ExampleClient_ReverseAndStart() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	report, err := local.ReverseAndStart(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err)
	fmt.Println("here:", pair.Local.Status("orders"), "there:", pair.Remote.Status("orders"))
	// Output:
	// reverse-and-start-mirror, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// here: STOPPED there: ACTIVE
}

// The mirror becomes an ordinary topic once it has caught up, as at the end of a migration.
func ExampleClient_Promote() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders.eu"}, mirrortest.Topic{Name: "orders.us"})
	defer pair.Close()
	report, err := local.Promote(context.Background(), "dr-link", mirror.Prefix("orders."))
	fmt.Println(report, err)
	fmt.Println(report.Topics(mirror.Accepted))
	// Output:
	// promote, link "dr-link", pattern "^(?:orders\..*)$": 2 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// [orders.eu orders.us]
}

// The mirror becomes an ordinary topic as it is, whether its source is there or not.
func ExampleClient_Failover() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders", Status: mirror.StatusSourceUnavailable})
	defer pair.Close()
	_, err := local.Promote(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(err)
	report, err := local.Failover(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err)
	// Output:
	// promote, link "dr-link": 0 accepted, 1 failed, 0 unknown, 0 untouched: orders: 400: Topic 'orders' does not allow promote while its mirror is SOURCE_UNAVAILABLE
	// failover, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
}

// A mirror is paused, and resumed by the cluster that holds it.
func ExampleClient_Pause() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	ctx, orders := context.Background(), mirror.Topics("orders")
	report, err := local.Pause(ctx, "dr-link", orders)
	fmt.Println(report, err, pair.Local.Status("orders"))
	report, err = local.Resume(ctx, "dr-link", orders)
	fmt.Println(report, err, pair.Local.Status("orders"))
	// Output:
	// pause, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil> PAUSED
	// resume, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil> ACTIVE
}
