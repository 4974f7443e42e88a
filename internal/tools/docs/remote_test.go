package docs_test

import (
	"context"
	"fmt"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tools/docs/client"
)

type (
	Order   struct{ ID string }
	Receipt = string
	worker  struct{}
)

func (worker) Do(_ context.Context, job string) (string, error) { return "result of " + job, nil }

var (
	queue  worker
	jobs   = []string{"job 0", "job 1"}
	orders = []Order{{"order 0"}, {"order 1"}}
	c      = client.Client("paid")
)

func Example_remote() {
	for i, r := range await.AsCompleted(ctx, await.Tasks(jobs, queue.Do)) {
		fmt.Println(jobs[i], r.Value, r.Err) // whichever worker has done it
	}
	// Unordered output:
	// job 0 result of job 0 <nil>
	// job 1 result of job 1 <nil>
}

func Example_temporal() {
	fulfill := func(ctx context.Context, o Order) (receipt Receipt, err error) {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: o.ID, TaskQueue: "orders"}, "Fulfill", o)
		if err == nil {
			err = run.Get(ctx, &receipt)
		}
		return receipt, err
	}
	for i, r := range await.AsCompleted(ctx, await.Tasks(orders, fulfill)) {
		fmt.Println(orders[i].ID, r.Value, r.Err)
	}
	// Unordered output:
	// order 0 paid <nil>
	// order 1 paid <nil>
}
