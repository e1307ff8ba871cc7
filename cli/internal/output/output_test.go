package output_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestTable(t *testing.T) {
	table := output.NewTable("NAME", ">SIZE", "NOTE")
	table.Add("a", "7 B", "")
	table.Add("longer", "1.5 GiB", "数据")
	var got bytes.Buffer
	if err := table.Write(&got, "none"); err != nil {
		t.Fatal(err)
	}
	want := `
NAME       SIZE  NOTE
a           7 B  -
longer  1.5 GiB  数据
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyTableSaysSo(t *testing.T) {
	var got bytes.Buffer
	if err := output.NewTable("NAME").Write(&got, "No backups."); err != nil || got.String() != "No backups.\n" {
		t.Errorf("%q, %v", got.String(), err)
	}
}

func TestFieldsLeaveOutWhatIsEmpty(t *testing.T) {
	var got bytes.Buffer
	if err := output.Fields(&got, [2]string{"Id", "x"}, [2]string{"Nothing", ""}, [2]string{"Database", "shop"}); err != nil {
		t.Fatal(err)
	}
	if want := "Id        x\nDatabase  shop\n"; got.String() != want {
		t.Errorf("%q", got.String())
	}
}

func TestJSONIsStableAndWhole(t *testing.T) {
	want := `{
  "users": [
    {
      "name": "a\u001b[2J",
      "role": "",
      "state": "",
      "created_at": null,
      "grants": [],
      "instances": [],
      "grant_scopes": [],
      "devices": 0
    }
  ],
  "next_page_token": ""
}
`
	message := &pgharborv1.ListUsersResponse{Users: []*pgharborv1.User{{Name: "a\x1b[2J"}}}
	for range 20 { // protojson's own spacing differs from call to call
		var got bytes.Buffer
		if err := output.JSON(&got, message); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestTimesAndAges(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-ago)) }
	if got := output.Time(at(0), time.FixedZone("CET", 3600)); got != "2026-11-23 13:00:00 CET" {
		t.Errorf("Time = %q", got)
	}
	if output.Time(nil, time.UTC) != "" || output.Age(nil, now) != "" {
		t.Error("no moment is shown as one")
	}
	ages := map[time.Duration]string{
		0: "0ms", 90 * time.Millisecond: "90ms", 59 * time.Second: "59s", 61 * time.Second: "1m1s", 11 * time.Minute: "11m",
		119 * time.Minute: "119m", 26 * time.Hour: "26h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 400 * 24 * time.Hour: "400d",
		-90 * time.Minute: "in 90m",
	}
	for ago, want := range ages {
		if got := output.Age(at(ago), now); got != want {
			t.Errorf("Age(%s) = %s, want %s", ago, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1 << 20: "1.0 MiB", -5: "0 B"} {
		if got := output.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestFormatFlag(t *testing.T) {
	f := output.FormatTable
	if err := f.Set("json"); err != nil || f != output.FormatJSON {
		t.Errorf("json gave %s, %v", f, err)
	}
	if err := f.Set("yaml"); err == nil || f != output.FormatJSON {
		t.Errorf("yaml gave %s, %v", f, err)
	}
}

func TestProgressIsForTerminalsOnly(t *testing.T) {
	var got bytes.Buffer
	progress := output.NewProgress(&got, time.Now)
	progress.Set("dump", 1, 2)
	progress.Clear()
	if got.Len() > 0 {
		t.Errorf("a script got %q", got.String())
	}
}
