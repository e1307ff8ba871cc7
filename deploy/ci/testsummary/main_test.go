package main

import (
	"strings"
	"testing"
)

// summaries are events of go test, and what is to come of them.
var summaries = map[string]struct {
	events string
	want   counts
	shown  string
	hidden string
}{
	"the output of a failed test is shown, that of a passed one is not": {
		events: `{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestBad","Output":"bad_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestBad","Elapsed":0}
{"Action":"fail","Package":"p","Elapsed":0.1}
`,
		want: counts{passed: 1, failed: 1}, shown: "got 1, want 2", hidden: "chatter",
	},
	"a package that does not build is a failure": {
		events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:3:1: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}
`,
		want: counts{failed: 1}, shown: "undefined: x",
	},
	"so is a package whose tests passed and whose process did not": {
		events: `{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":0}
{"Action":"output","Package":"p","Output":"panic: leaked\n"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`,
		want: counts{passed: 1, failed: 1}, shown: "panic: leaked",
	},
	"a line that is no event goes through": {
		events: "go: no such module\n",
		shown:  "go: no such module",
	},
	"packages without tests count for nothing": {
		events: `{"Action":"skip","Package":"p","Elapsed":0}` + "\n",
		shown:  "p  no tests",
	},
}

// The events are those that go 1.26 printed for a package with one good and
// one bad test, one that does not build, and one whose TestMain failed.
func TestSummarize(t *testing.T) {
	for name, tt := range summaries {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			got, err := summarize(strings.NewReader(tt.events), &out)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("counts = %+v, want %+v", got, tt.want)
			}
			if !strings.Contains(out.String(), tt.shown) {
				t.Errorf("%q is not in the output:\n%s", tt.shown, out.String())
			}
			if tt.hidden != "" && strings.Contains(out.String(), tt.hidden) {
				t.Errorf("%q is in the output:\n%s", tt.hidden, out.String())
			}
		})
	}
}
