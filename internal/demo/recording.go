package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ascompleted/await"
)

// requests are what the timeline shows. Nothing is sent: they take their time.
var requests = []request{
	{"profile", 200 * time.Millisecond},
	{"photos", 400 * time.Millisecond},
	{"weather", 100 * time.Millisecond},
	{"news", 300 * time.Millisecond},
	{"prices", 600 * time.Millisecond},
	{"orders", 250 * time.Millisecond},
}

type request struct {
	name  string
	takes time.Duration
}

// ways are the ways to get the results that the timeline compares.
var ways = []struct {
	name, what string
	results    func(context.Context, []await.Task[span], ...await.Option) iter.Seq2[int, await.Result[span]]
}{
	{"AsCompleted", "each as soon as it is done", await.AsCompleted[span]},
	{"InOrder", "each once it and all before it are done", await.InOrder[span]},
	{"Gather", "all at once, after the last is done", gathered},
}

// gathered is await.Gather as a loop, to be compared with the others.
func gathered(ctx context.Context, tasks []await.Task[span], options ...await.Option) iter.Seq2[int, await.Result[span]] {
	return func(yield func(int, await.Result[span]) bool) {
		spans, err := await.Gather(ctx, tasks, options...)
		for i, s := range spans {
			if !yield(i, await.Result[span]{Value: s, Err: err}) {
				return
			}
		}
	}
}

// A span is what became of one request, as times since the run began.
type span struct {
	name                string
	started, ended, got time.Duration // got: when the loop had the result
}

// A recording is one run of the requests.
type recording struct {
	name, what string
	spans      []span
}

// record runs the requests in each of the ways.
func record(ctx context.Context, c config) ([]recording, error) {
	runs := make([]recording, len(ways))
	for n, way := range ways {
		began := time.Now()
		send := func(ctx context.Context, r request) (span, error) {
			started := time.Since(began)
			err := spend(ctx, r.takes)
			return span{name: r.name, started: started, ended: time.Since(began)}, err
		}
		spans := make([]span, len(requests))
		for i, r := range way.results(ctx, await.Tasks(requests, send), c.options(way.name)...) {
			if r.Err != nil {
				return nil, fmt.Errorf("%s: %w", way.name, r.Err)
			}
			spans[i] = r.Value
			spans[i].got = time.Since(began)
		}
		runs[n] = recording{way.name, way.what, spans}
	}
	return runs, nil
}

// average tells when a result was there, on average.
func (r recording) average() string {
	var sum time.Duration
	for _, s := range r.spans {
		sum += s.got
	}
	return fmt.Sprintf("%.2f s", sum.Seconds()/float64(len(r.spans)))
}

// longest is the duration of the longest run.
func longest(runs []recording) (end time.Duration) {
	for _, run := range runs {
		for _, s := range run.spans {
			end = max(end, s.got)
		}
	}
	return end
}

// ticks are a few round times from 0 to end.
func ticks(end time.Duration) (times []time.Duration) {
	step := 100 * time.Millisecond
	for end/step > 4 {
		step *= 2
	}
	for t := time.Duration(0); t <= end; t += step {
		times = append(times, t)
	}
	return times
}

func seconds(t time.Duration) string { return fmt.Sprintf("%g s", t.Seconds()) }
