package recipes_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ascompleted/await"
)

// inTime makes of fn a function that has only the time d.
func inTime[In, T any](d time.Duration, fn func(context.Context, In) (T, error)) func(context.Context, In) (T, error) {
	return func(ctx context.Context, in In) (T, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer after %v", d))
		defer cancel()
		return fn(ctx, in)
	}
}

// A timeout per task, and not for all of them together: one that hangs does not
// affect the others.
//
// The time counts from the start of the task, so waiting for a slot of
// Limit does not count. Watch out that fn must obey its context: nothing
// can stop a goroutine from outside. The cause makes the error say more than
// "context deadline exceeded", if fn returns it.
func Example_timeLimitOfEachTask() {
	ping := func(ctx context.Context, host string) (string, error) {
		if host == "10.0.0.9" { // it does not answer
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		return "alive", nil
	}

	hosts := []string{"10.0.0.7", "10.0.0.8", "10.0.0.9"}
	for i, r := range await.InOrder(context.Background(), await.Tasks(hosts, inTime(20*time.Millisecond, ping))) {
		fmt.Printf("%s: %q %v\n", hosts[i], r.Value, r.Err)
	}
	// Output:
	// 10.0.0.7: "alive" <nil>
	// 10.0.0.8: "alive" <nil>
	// 10.0.0.9: "" no answer after 20ms
}
