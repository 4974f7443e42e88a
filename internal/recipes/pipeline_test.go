package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

// A passed value is what one stage hands to the next, with the key it is of.
type passed[K, T any] struct {
	Key   K
	Value T
}

// next makes the results of one stage the inputs of the next, errors included:
// await.TaskSeq2 passes them on without calling the function of the next stage.
func next[K, T any](results iter.Seq2[K, await.Result[T]]) iter.Seq2[passed[K, T], error] {
	return func(yield func(passed[K, T], error) bool) {
		for key, r := range results {
			if !yield(passed[K, T]{key, r.Value}, r.Err) {
				return
			}
		}
	}
}

// headlines downloads pages, at most 4 at once, and renders them, at most 2.
func headlines(
	ctx context.Context, urls []string,
	download func(context.Context, string) (string, error),
	render func(context.Context, passed[string, string]) (string, error),
) iter.Seq2[passed[string, string], await.Result[string]] {
	return func(yield func(passed[string, string], await.Result[string]) bool) {
		first, cancel := context.WithCancel(ctx)
		defer cancel()
		pages := await.AsCompletedSeq(first, await.TaskSeq(slices.Values(urls), download), await.Limit(4))
		await.AsCompletedSeq(ctx, await.TaskSeq2(next(pages), render), await.Limit(2), await.OnCancel(cancel))(yield)
	}
}

// Two stages, each with a limit of its own. A page that fails in the first stage
// comes out of the second with its error and its URL.
//
// Each stage is a sequence made of the loop before it, so leaving the last loop
// ends them all. Watch out to run the first stage in a context that OnCancel of
// the second cancels. Without it a break waits until the first stage has its next
// result.
func Example_pipeline() {
	download := func(_ context.Context, url string) (string, error) {
		if url == "/gone" {
			return "", errors.New("404 Not Found")
		}
		return "page " + url, nil
	}
	render := func(_ context.Context, page passed[string, string]) (string, error) {
		return strings.ToUpper(page.Value), nil
	}
	for page, r := range headlines(context.Background(), []string{"/a", "/gone", "/b"}, download, render) {
		fmt.Println(page.Key, r.Value, r.Err)
	}
	// Unordered output:
	// /a PAGE /A <nil>
	// /gone  404 Not Found
	// /b PAGE /B <nil>
}

func TestLeavingAPipelineCancelsItsFirstStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		download := func(ctx context.Context, url string) (string, error) {
			if url == "/quick" {
				return "page", nil
			}
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		render := func(_ context.Context, page passed[string, string]) (string, error) { return page.Value, nil }
		began := time.Now()
		for page, r := range headlines(t.Context(), []string{"/quick", "/hangs"}, download, render) {
			assert.Equal(t, passed[string, string]{"/quick", "page"}, page)
			assert.NoError(t, r.Err)
			break
		}
		assert.Zero(t, time.Since(began))
	})
}
