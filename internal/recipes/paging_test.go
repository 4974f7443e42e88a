package recipes_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

// A listing is one page of what an API lists. Next leads to the page after it; it
// is empty on the last.
type listing struct {
	Items []string
	Next  string
}

// listed yields the items of all pages, each page loaded when its items are
// needed. An error ends it.
func listed(ctx context.Context, list func(ctx context.Context, page string) (listing, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		page := ""
		for {
			this, err := list(ctx, page)
			if err != nil {
				yield("", err)
				return
			}
			for _, item := range this.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page = this.Next; page == "" {
				return
			}
		}
	}
}

// What an API lists page by page, as of a bucket, is a sequence, and a task works
// on each item. Pages are loaded as items are needed, and no further.
//
// Watch out that the loop's end waits for a page that is being loaded, so load it
// in a context that OnCancel cancels.
func Example_paging() {
	list := func(_ context.Context, page string) (listing, error) {
		if page == "" {
			return listing{Items: []string{"a.jpg", "b.jpg"}, Next: "2"}, nil
		}
		return listing{Items: []string{"c.jpg"}}, nil
	}
	upper := func(_ context.Context, item string) (string, error) { return strings.ToUpper(item), nil }

	ctx := context.Background()
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	objects := await.TaskSeq2(listed(loading, list), upper)
	for item, r := range await.AsCompletedSeq(ctx, objects, await.Limit(8), await.OnCancel(cancel)) {
		fmt.Println(item, r.Value, r.Err)
	}
	// Unordered output:
	// a.jpg A.JPG <nil>
	// b.jpg B.JPG <nil>
	// c.jpg C.JPG <nil>
}

func TestLeavingALoopOverPagesDoesNotWaitForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := func(ctx context.Context, page string) (listing, error) {
			if page == "" {
				return listing{Items: []string{"a.jpg"}, Next: "2"}, nil
			}
			<-ctx.Done() // hangs
			return listing{}, context.Cause(ctx)
		}
		loading, cancel := context.WithCancel(t.Context())
		defer cancel()
		objects := await.TaskSeq2(listed(loading, list), resize)
		began := time.Now()
		for item, r := range await.AsCompletedSeq(t.Context(), objects, await.Limit(8), await.OnCancel(cancel)) {
			assert.Equal(t, "a.jpg", item)
			assert.NoError(t, r.Err)
			break
		}
		assert.Zero(t, time.Since(began))
	})
}
