// Package docs has only tests. They keep the Markdown files of the repository
// true: their Go code is the body of examples that run, their links lead
// somewhere, and their commands exist.
//
//	go test -C internal/tools/docs            check
//	go test -C internal/tools/docs -update    write the code of the examples into the files
//
// With a package named, as in ./..., add -count=1: the go command does not
// see that a file outside of this module has changed, and shows an old result.
package docs
