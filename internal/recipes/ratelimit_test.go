package recipes_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ascompleted/await"
	"golang.org/x/time/rate"
)

// At most n requests per second, because the API says so. Limit is something
// else, namely how many run at once: use both.
//
// The wait is inside the task, so that every request takes its turn, those of
// other calls and a second attempt too. Watch out that a task that waits for
// its turn has a slot of Limit; and that Wait, if the context has a
// deadline, fails at once when its turn would come too late.
func Example_rateLimit() {
	turns := rate.NewLimiter(rate.Every(10*time.Millisecond), 1) // one for the whole program
	lookUp := func(ctx context.Context, city string) (int, error) {
		if err := turns.Wait(ctx); err != nil {
			return 0, err
		}
		return temperature(ctx, city)
	}

	cities := []string{"Oslo", "Rome", "Cairo", "Lima"}
	began := time.Now()
	for i, r := range await.InOrder(context.Background(), await.Tasks(cities, lookUp), await.Limit(8)) {
		fmt.Println(cities[i], r.Value, r.Err)
	}
	fmt.Println("three pauses at least:", time.Since(began) >= 29*time.Millisecond)
	// Output:
	// Oslo 4 <nil>
	// Rome 4 <nil>
	// Cairo 5 <nil>
	// Lima 4 <nil>
	// three pauses at least: true
}

// temperature stands for a call of the API.
func temperature(_ context.Context, city string) (int, error) { return len(city), nil }
