package recipes_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ascompleted/await"
)

// into makes a task that sets a variable to what fn returns, if fn succeeds.
func into[T any](v *T, fn func(context.Context) (T, error)) await.Task[struct{}] {
	return func(ctx context.Context) (struct{}, error) {
		got, err := fn(ctx)
		if err == nil {
			*v = got
		}
		return struct{}{}, err
	}
}

// More than three types: up to three have Gather2 and Gather3. For more, each
// task sets a variable of its own. Gather waits for the tasks, so no lock is
// needed, and the error tells the index of the task that failed.
//
// Watch out not to read the variables before Gather has returned, and not to
// give it Detach: a task that is left behind could set its variable later. If
// the names are known only as the program runs, use await.Task[any] and a switch
// over the type of each value.
func Example_moreThanThreeTypes() {
	name := func(context.Context) (string, error) { return "Ada", nil }
	age := func(context.Context) (int, error) { return 36, nil }
	orders := func(context.Context) ([]string, error) { return []string{"tea", "milk"}, nil }
	debt := func(context.Context) (float64, error) { return 0, errors.New("the bank is closed") }

	var page struct {
		Name   string
		Age    int
		Orders []string
		Debt   float64
	}
	_, err := await.Gather(context.Background(), []await.Task[struct{}]{
		into(&page.Name, name),
		into(&page.Age, age),
		into(&page.Orders, orders),
	})
	fmt.Println(page, err)

	_, err = await.Gather(context.Background(), []await.Task[struct{}]{
		into(&page.Name, name),
		into(&page.Debt, debt),
	})
	var failed *await.TaskError
	if errors.As(err, &failed) {
		fmt.Println("task", failed.Index, "failed:", err)
	}
	// Output:
	// {Ada 36 [tea milk] 0} <nil>
	// task 1 failed: the bank is closed
}
