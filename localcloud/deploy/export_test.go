package deploy

import "github.com/pulumi/pulumi/sdk/v3/go/common/resource"

// Outputs are the outputs of the program's resources, by type and name.
func (d *Deployer) Outputs(p Program) map[string]map[string]resource.PropertyMap {
	out := map[string]map[string]resource.PropertyMap{}
	s, err := d.stack(p)
	if err != nil {
		return nil
	}
	for _, r := range s.records {
		if r.kind != nil {
			if out[r.token] == nil {
				out[r.token] = map[string]resource.PropertyMap{}
			}
			out[r.token][r.name] = r.outputs
		}
	}
	return out
}

// Absent are the outputs of a type that are deliberately not set, with reasons.
func (d *Deployer) Absent(token string) map[string]string { return d.backend.kinds[token].absent }

// Types are the types of the table.
func (d *Deployer) Types() []string {
	var out []string
	for token := range d.backend.kinds {
		out = append(out, token)
	}
	return out
}
