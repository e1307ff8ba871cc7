package session_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/controlplane/access"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// asks has the RPC with which people ask for each kind of job.
var asks = map[string]string{
	"backup":  "/pgharbor.v1.BackupService/StartBackup",
	"verify":  "/pgharbor.v1.BackupService/VerifyBackup",
	"hold":    "/pgharbor.v1.BackupService/HoldBackup",
	"release": "/pgharbor.v1.BackupService/ReleaseBackup",
	"restore": "/pgharbor.v1.RestoreService/CreateRestore",
	"preview": "/pgharbor.v1.RestoreService/PreviewRestore",
	"undo":    "/pgharbor.v1.RestoreService/UndoRestore",
	"send":    "/pgharbor.v1.TransferService/Download",
}

// A new kind of job is named in each of these places, and nowhere else.
func TestEachPlaceKnowsEachKindOfJob(t *testing.T) {
	kinds := job.Kinds() // agent/job/spec.go, and a file spec_KIND.go
	slices.Sort(kinds)
	fleetKinds := kindsOfTheFleet(t)
	for place, named := range map[string][]string{
		"the hosts' policy (agent/policy)":                                        policy.Default().Jobs,
		"the wire (session.proto) and the agent's session (specFrom, receive.go)": kindsOnTheWire(t),
		"the domain (controlplane/fleet, JobKind)":                                keys(fleetKinds),
		"the RPC that asks for it (in this test)":                                 keys(asks),
	} {
		if diff := cmp.Diff(kinds, slices.Sorted(slices.Values(named))); diff != "" {
			t.Errorf("%s (-the agent's +there):\n%s", place, diff)
		}
	}
	for kind, method := range asks {
		if rule, ok := access.RuleFor(method); !ok || rule.Permission == "" {
			t.Errorf("access has no permission for %s, which asks for a job of the kind %s", method, kind)
		}
	}
	for _, dir := range []string{"api", "session"} { // who asks for it, and who offers it
		used := fleetWords(t, filepath.Join("..", "..", "controlplane", dir))
		for kind, constant := range fleetKinds {
			if !used[constant] {
				t.Errorf("controlplane/%s does not know the kind %s", dir, kind)
			}
		}
	}
}

func keys(m map[string]string) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// kindsOnTheWire are the kinds of what an offer can have as its spec.
func kindsOnTheWire(t *testing.T) (kinds []string) {
	t.Helper()
	oneof := (&pgharborv1.Offer{}).ProtoReflect().Descriptor().Oneofs().ByName("spec")
	for n := range oneof.Fields().Len() {
		field, offer := oneof.Fields().Get(n), &pgharborv1.Offer{}
		offer.ProtoReflect().Mutable(field)
		spec := session.SpecFrom(offer, nil)
		if spec == nil {
			t.Errorf("the agent does not understand an offer of %s", field.Name())
			continue
		}
		kinds = append(kinds, spec.Kind())
	}
	release := &pgharborv1.Offer{Spec: &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{Release: true}}}
	return append(kinds, session.SpecFrom(release, nil).Kind())
}

// kindsOfTheFleet has the constant of each kind in the control plane's domain.
func kindsOfTheFleet(t *testing.T) map[string]string {
	t.Helper()
	constants := map[string]string{}
	inspect(t, filepath.Join("..", "..", "controlplane", "fleet"), func(node ast.Node) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return
		}
		if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != "JobKind" {
			return
		}
		for n, name := range spec.Names {
			word, err := strconv.Unquote(spec.Values[n].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants[word] = name.Name
		}
	})
	return constants
}

// fleetWords are what a package uses of the fleet.
func fleetWords(t *testing.T, dir string) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	inspect(t, dir, func(node ast.Node) {
		if s, ok := node.(*ast.SelectorExpr); ok {
			if of, ok := s.X.(*ast.Ident); ok && of.Name == "fleet" {
				used[s.Sel.Name] = true
			}
		}
	})
	return used
}

// inspect looks at all that is in a package's files, but for tests.
func inspect(t *testing.T, dir string, look func(ast.Node)) {
	t.Helper()
	files, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if node != nil {
				look(node)
			}
			return true
		})
	}
}
