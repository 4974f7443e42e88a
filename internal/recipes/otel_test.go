package recipes_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ascompleted/await"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A span for each task, below the span of the whole. It needs nothing special:
// the context of a task is a child of the caller's, and carries its span.
//
// The outer span ends after all inner ones, because the loop's end waits for
// the tasks. Watch out that with Detach an inner one may end later.
func Example_openTelemetry() {
	spans := tracetest.NewInMemoryExporter()                     // an OTLP exporter in a program,
	provider := trace.NewTracerProvider(trace.WithSyncer(spans)) // with WithBatcher
	tracer := provider.Tracer("example.org/thumbnails")

	scale := func(ctx context.Context, image string) (string, error) {
		ctx, span := tracer.Start(ctx, "scale "+image)
		defer span.End()
		small, err := thumbnail(ctx, image)
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		return small, err
	}

	ctx, span := tracer.Start(context.Background(), "thumbnails")
	for range await.AsCompleted(ctx, await.Tasks([]string{"cat", "dog", "yeti"}, scale)) {
	}
	span.End()

	printTree(spans.GetSpans())
	// Output:
	// thumbnails
	//   scale cat
	//   scale dog
	//   scale yeti: no such animal
}

func thumbnail(_ context.Context, image string) (string, error) {
	if image == "yeti" {
		return "", errors.New("no such animal")
	}
	return "small " + image, nil
}

// printTree prints the last span and, below it, its children.
func printTree(spans tracetest.SpanStubs) {
	root := spans[len(spans)-1]
	fmt.Println(root.Name)
	slices.SortFunc(spans, func(a, b tracetest.SpanStub) int { return cmp.Compare(a.Name, b.Name) })
	for i := range spans {
		s := &spans[i]
		if s.Parent.SpanID() != root.SpanContext.SpanID() {
			continue
		}
		if s.Status.Code == codes.Error {
			fmt.Printf("  %s: %s\n", s.Name, s.Status.Description)
		} else {
			fmt.Println(" ", s.Name)
		}
	}
}
