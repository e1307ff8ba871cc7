package guard

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pgharbor/pgharbor/controlplane/access"
)

// CheckMethods returns an error if the server has an RPC that no table of package access names, or
// a table names one that it does not have, or says of one nothing about scopes that fits its
// request.
func CheckMethods(s *grpc.Server) error {
	served := map[string]bool{}
	for service, info := range s.GetServiceInfo() {
		for _, method := range info.Methods {
			name := "/" + service + "/" + method.Name
			served[name] = true
			rule, named := access.RuleFor(name)
			if !named {
				return fmt.Errorf("no rule of package access names the RPC %s", name)
			}
			if err := checkScoping(service, method, rule); err != nil {
				return fmt.Errorf("the rule of package access for %s: %w", name, err)
			}
		}
	}
	for _, method := range access.Methods() {
		if !served[method] {
			return fmt.Errorf("package access names the RPC %s, which is not served", method)
		}
	}
	return nil
}

func checkScoping(service string, method grpc.MethodInfo, rule access.Rule) error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return err
	}
	fields := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method.Name)).Input().Fields() //nolint:forcetypeassert // it is what serves
	var subjects []string
	for _, subject := range rule.Scoping.Subjects {
		field := fields.ByName(protoreflect.Name(subject.Field))
		if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
			return fmt.Errorf("the request has no text %q", subject.Field)
		}
		subjects = append(subjects, subject.Field)
	}
	switch rule.Scoping.Kind {
	case access.ByCertificate:
		if !rule.Agent {
			return fmt.Errorf("it is for agents only")
		}
	case access.ByNothing:
		if rule.Permission != "" || len(subjects) != 0 {
			return fmt.Errorf("what takes a permission touches something")
		}
	case access.ByFleet, access.BySubject, access.ByFilter:
		switch {
		case rule.Permission == "":
			return fmt.Errorf("a scope is that of a permission")
		case rule.Scoping.Kind == access.BySubject && len(subjects) == 0:
			return fmt.Errorf("it does not say what the request is about")
		case rule.Scoping.Kind == access.ByFilter && method.IsClientStream:
			return fmt.Errorf("a list is asked for once")
		case rule.Scoping.Kind != access.ByFleet:
			return checkEverySubject(fields, subjects)
		}
	default:
		return fmt.Errorf("it does not say how the RPC is held within a scope")
	}
	return nil
}

// checkEverySubject refuses a request with a field that names an instance or a
// backup and that the rule forgets.
func checkEverySubject(fields protoreflect.FieldDescriptors, subjects []string) error {
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		for _, suffix := range []string{"instance", "backup_id", "job_id", "restore_id"} {
			if (name == suffix || strings.HasSuffix(name, "_"+suffix)) && !slices.Contains(subjects, name) {
				return fmt.Errorf("the request has a field %q that it does not look at", name)
			}
		}
	}
	return nil
}
