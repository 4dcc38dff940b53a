import ComputeCPU
import Diagnostics
import Recall
import TestSupport

/// A recipe that merges the three siblings, the third being the anchor.
func siblingRecipe() -> MergeRecipe {
  var recipe = MergeRecipe()
  recipe.anchor = Fixtures.sibling("third")
  recipe.models = [Fixtures.sibling("first"), Fixtures.sibling("second")]
  recipe.samples = Fixtures.siblingSamples
  recipe.typical = 3
  return recipe
}

/// Merges on the CPU.
@discardableResult
func merge(_ recipe: MergeRecipe, into output: String, memory: Int? = nil) throws -> MergeReport {
  try HierarchicalMerge(recipe, memoryBudget: memory, on: CPUBackend()).merge(into: output, overwrite: false)
    .report
}

/// The failure that a body throws, for looking at its words.
func failure(of body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}
