package recipes_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ascompleted/await"
)

// hedged makes the call, and makes it again if the first has not answered
// after the given time. The first answer counts.
func hedged[T any](ctx context.Context, after time.Duration, call await.Task[T]) (T, error) {
	again := func(ctx context.Context) (T, error) {
		select {
		case <-time.After(after):
			return call(ctx)
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
	}
	_, value, err := await.First(await.AsCompleted(ctx, []await.Task[T]{call, again}, await.Detach()))
	return value, err
}

// A request that is late is sent a second time, which spares users the one
// answer in a hundred that takes forever. A good time to wait is what 95 of a
// hundred answers need.
//
// Only for requests that may be made twice: reads, mostly. With Detach the
// answer does not wait for the loser to notice that it is canceled; so watch
// out that what the call uses stays valid, and leave Detach out if it cannot.
func Example_hedgedRequest() {
	var requests atomic.Int32
	price := func(ctx context.Context) (string, error) {
		if requests.Add(1) == 1 { // this one got lost
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		return "12.50", nil
	}

	fmt.Println(hedged(context.Background(), 10*time.Millisecond, price))
	fmt.Println(requests.Load(), "requests")

	fmt.Println(hedged(context.Background(), time.Hour, price))
	fmt.Println(requests.Load(), "requests")
	// Output:
	// 12.50 <nil>
	// 2 requests
	// 12.50 <nil>
	// 3 requests
}
