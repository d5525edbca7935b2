// The five error classes of SPEC §15, and how a rule of §14 is broken. A bound of Noise's own has no rule.

export class Rejected extends Error {
  constructor(errorClass, rule) {
    super(rule ? `${errorClass} (${rule})` : errorClass);
    this.errorClass = errorClass;
    this.rule = rule;
  }
}

export function reject(errorClass, rule) {
  throw new Rejected(errorClass, rule);
}

export function must(holds, errorClass, rule) {
  if (!holds) reject(errorClass, rule);
}

// What `make` gives, or `otherwise` if it breaks this rule.
export function passingOver(rule, otherwise, make) {
  try {
    return make();
  } catch (error) {
    if (error.rule !== rule) throw error;
    return otherwise;
  }
}
