import Checkpoint
import JSON

/// A model in a recipe's document: its path, or with more to say an object with path, weight and samples.
struct ModelEntry {
  /// The absolute path.
  var path: String
  /// The weight that is given to it.
  var weight: Double?
  /// The absolute path of the file of its own samples.
  var samples: String?

  /// Describes a model.
  init(path: String, weight: Double? = nil, samples: String? = nil) {
    (self.path, self.weight, self.samples) = (path, weight, samples)
  }

  /// Reads an entry; `nil` for anything but a path, or an object with a path and nothing that is not known.
  init?(_ json: JSONValue) {
    if let path = json.string {
      self.init(path: absolutePath(path))
      return
    }
    guard let object = json.object, let path = object["path"]?.string else { return nil }
    self.init(path: absolutePath(path))
    for member in object.members where member.key != "path" {
      switch member.key {
      case RecipeField.weights.key:
        guard let weight = FieldValues.finite("W").read(member.value) else { return nil }
        self.weight = weight
      case RecipeField.samplesFor.key:
        guard let samples = FieldValues.file.read(member.value) else { return nil }
        self.samples = samples
      default: return nil
      }
    }
  }

  /// The entry of the document.
  var json: JSONValue {
    var members = [("path", JSONValue.string(path))]
    if let weight { members.append((RecipeField.weights.key, .double(weight))) }
    if let samples { members.append((RecipeField.samplesFor.key, .string(samples))) }
    return members.count > 1 ? .object(JSONObject(members)) : .string(path)
  }

  /// The models of a recipe beside the anchor, with their weights and samples, sorted by path.
  static func all(of recipe: MergeRecipe) -> [ModelEntry] {
    let entries = zip(recipe.models, recipe.weights(of: recipe.models.count)).map { path, weight in
      ModelEntry(path: path, weight: weight, samples: recipe.samplesOfModels[path])
    }
    return entries.sorted { left, right in
      left.path == right.path
        ? (left.weight ?? 0) < (right.weight ?? 0) : left.path.utf8.lexicographicallyPrecedes(right.path.utf8)
    }
  }
}
