package recipes_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"testing/fstest"

	"github.com/ascompleted/await"
)

// files yields the paths of the files in a directory tree. What cannot be read
// comes with its error, and the walk goes on.
func files(tree fs.FS) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		_ = fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
			if (err != nil || entry.Type().IsRegular()) && !yield(path, err) {
				return fs.SkipAll
			}
			return nil
		})
	}
}

// The check sums of all files in a tree. The tree is walked while files are read,
// and no further than the limit allows, so it may have millions of files.
//
// Watch out never to do this without a Limit: every file would be open at once.
func Example_directoryTree() {
	tree := fstest.MapFS{ // os.DirFS in a program
		"go.mod":         {Data: []byte("module example.org\n")},
		"cmd/main.go":    {Data: []byte("package main\n")},
		"cmd/data/empty": {},
	}
	sum := func(_ context.Context, path string) (string, error) {
		data, err := fs.ReadFile(tree, path)
		return fmt.Sprintf("%.4x", sha256.Sum256(data)), err
	}

	var sums []string
	for path, r := range await.AsCompletedSeq(context.Background(), await.TaskSeq2(files(tree), sum), await.Limit(8)) {
		if r.Err != nil {
			fmt.Println(path, r.Err)
			continue
		}
		sums = append(sums, r.Value+" "+path)
	}
	slices.Sort(sums)
	for _, line := range sums {
		fmt.Println(line)
	}
	// Output:
	// 205a0cc2 go.mod
	// df1d036c cmd/main.go
	// e3b0c442 cmd/data/empty
}
