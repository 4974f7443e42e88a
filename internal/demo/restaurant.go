package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/ascompleted/await"
)

// An order is a dish for a table.
type order struct {
	table int
	dish  string
	takes time.Duration
}

var orders = []order{
	{1, "onion soup", 250 * time.Millisecond},
	{1, "steak", 650 * time.Millisecond},
	{2, "green salad", 100 * time.Millisecond},
	{2, "pizza", 450 * time.Millisecond},
	{3, "pancakes", 350 * time.Millisecond},
	{3, "fish and chips", 500 * time.Millisecond},
	{4, "apple pie", 150 * time.Millisecond},
	{4, "coffee", 50 * time.Millisecond},
}

// cook is the task: it makes one dish.
func cook(ctx context.Context, o order) (string, error) {
	return o.dish, spend(ctx, o.takes)
}

// restaurant spends the same evening twice. At first each dish is brought to
// its table as soon as it is done; then all dishes wait for the last one.
func restaurant(ctx context.Context, cooks int, out io.Writer) error {
	fmt.Fprintf(out, "Four tables order %d dishes. Cooks in the kitchen: %d\n", len(orders), cooks)
	dishes := await.Tasks(orders, cook)

	fmt.Fprintln(out, "\nAsCompleted: each dish is brought as soon as it is done")
	first := newWaiter(out)
	for i, r := range await.AsCompleted(ctx, dishes, await.Limit(cooks)) {
		if r.Err != nil {
			return fmt.Errorf("no %s for table %d: %w", orders[i].dish, orders[i].table, r.Err)
		}
		first.bring(r.Value, orders[i].table) // the cooks go on meanwhile
	}

	fmt.Fprintln(out, "\nGather: all dishes are brought when the last one is done")
	second := newWaiter(out)
	done, err := await.Gather(ctx, dishes, await.Limit(cooks))
	if err != nil {
		return fmt.Errorf("no dish for anyone: %w", err)
	}
	for i, dish := range done {
		second.bring(dish, orders[i].table)
	}

	fmt.Fprintf(out, "\nAverage wait for a dish: %.2f s with AsCompleted, %.2f s with Gather\n",
		first.average(), second.average())
	return nil
}

// A waiter brings dishes to their tables.
type waiter struct {
	out     io.Writer
	ordered time.Time // everything at once
	brought int
	seconds float64 // that those dishes took, all in all
}

func newWaiter(out io.Writer) *waiter { return &waiter{out: out, ordered: time.Now()} }

func (w *waiter) bring(dish string, table int) {
	wait := time.Since(w.ordered).Seconds()
	w.brought++
	w.seconds += wait
	fmt.Fprintf(w.out, "%.2f s  table %d: %s\n", wait, table, dish)
}

func (w *waiter) average() float64 { return w.seconds / float64(w.brought) }

// spend lets d pass, unless the context ends before.
func spend(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
