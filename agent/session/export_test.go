package session

// SpecFrom is what an offer's spec is to the agent, for tests.
var SpecFrom = specFrom
