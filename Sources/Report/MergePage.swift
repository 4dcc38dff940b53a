/// What a merge or a comparison shows to people: one HTML page that needs nothing beside itself.
///
/// The page is a function of what it shows; it holds no date and no duration. It loads nothing from anywhere, works
/// without a network and, but for the layer picker, without its script. All texts are taken as hostile and escaped.
public struct MergePage: Sendable {
  /// A model that was merged or compared.
  public struct Model: Sendable {
    /// The absolute path.
    public var path: String
    /// Whether the others were compared with it.
    public var isAnchor: Bool
    /// What else is worth knowing about it; may be empty.
    public var note: String

    /// Describes a model.
    public init(path: String, isAnchor: Bool, note: String) {
      self.path = path
      self.isAnchor = isAnchor
      self.note = note
    }
  }

  /// What was found and decided at one layer.
  public struct Layer: Sendable {
    /// The name, such as `block.3`.
    public var name: String
    /// `S_ij`, `[models, models]`; empty for methods that compare nothing.
    public var similarity: [[Double]]
    /// What each model's weight follows from, `[models]`; empty for methods that compare nothing.
    public var scores: [Double]
    /// `w_i`, `[models]`.
    public var weights: [Double]
    /// The similarity that unrelated vectors would have; `nil` where it is not known.
    public var unrelated: Double?

    /// Describes a layer.
    public init(
      name: String, similarity: [[Double]], scores: [Double], weights: [Double], unrelated: Double?
    ) {
      self.name = name
      self.similarity = similarity
      self.scores = scores
      self.weights = weights
      self.unrelated = unrelated
    }
  }

  /// A text that the models were compared on.
  public struct Sample: Sendable {
    /// Its number in its pool.
    public var index: Int
    /// How many samples of the pool it stands for.
    public var clusterSize: Int?
    /// What it says.
    public var text: String

    /// Describes a sample.
    public init(index: Int, clusterSize: Int?, text: String) {
      self.index = index
      self.clusterSize = clusterSize
      self.text = text
    }
  }

  /// A merge that an input of this one came from.
  public struct EarlierMerge: Sendable {
    /// Where its result was.
    public var path: String
    /// Its models with their weight, the mean over all layers.
    public var models: [(path: String, isAnchor: Bool, weight: Double)]
    /// How many typical samples it left.
    public var samples: Int

    /// Describes an earlier merge.
    public init(path: String, models: [(path: String, isAnchor: Bool, weight: Double)], samples: Int) {
      self.path = path
      self.models = models
      self.samples = samples
    }
  }

  /// Whether something was merged, or only compared.
  public var isMerge: Bool
  /// The models in the order of all figures.
  public var models: [Model]
  /// The layers, shallow to deep.
  public var layers: [Layer]
  /// The options as used.
  public var options: [(name: String, value: String)]
  /// The texts that the models were compared on.
  public var samples: [Sample]
  /// The merges that led here, oldest first.
  public var history: [EarlierMerge]
  /// What speaks against this merge; one paragraph each.
  public var warnings: [String]

  /// Collects what a page shows.
  public init(
    isMerge: Bool, models: [Model], layers: [Layer], options: [(name: String, value: String)], samples: [Sample],
    history: [EarlierMerge], warnings: [String]
  ) {
    self.isMerge = isMerge
    self.models = models
    self.layers = layers
    self.options = options
    self.samples = samples
    self.history = history
    self.warnings = warnings
  }

  /// The name under which a merge leaves the page.
  public static let fileName = "recall.html"
  /// How many samples the page quotes, and how much of each: enough to see what they are about.
  static let mostSamples = 200
  static let longestExcerpt = 240

  /// The page as one document in UTF-8.
  public var html: String {
    let sections = [
      header, notices, modelList, similarityOverDepth, pairMaps, weightsOverDepth, historyList, sampleList, optionList,
    ]
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
      script-src 'unsafe-inline'; img-src data:">
      <meta name="color-scheme" content="light dark">
      <link rel="icon" href="data:,">
      <title>\(title.escaped)</title>
      <style>
      \(PageStyle.sheet)
      </style>
      </head>
      <body>
      <main>
      \(sections.filter { !$0.isEmpty }.joined(separator: "\n"))
      </main>
      \(comparesPairs ? "<script>\n\(PageStyle.script)\n</script>" : "")
      </body>
      </html>

      """
  }

  private var anchor: Int? { models.firstIndex(where: \.isAnchor) }
  private var comparesModels: Bool { layers.contains { !$0.scores.isEmpty } }
  private var comparesPairs: Bool { layers.contains { $0.similarity.count > 1 } }
  /// Whether weights differ from layer to layer, or one row holds for the whole model.
  private var hasDepth: Bool { layers.count > 1 }
  private var title: String { "\(isMerge ? "Merge" : "Comparison") of \(counted(models.count, "model"))" }

  // MARK: Sections

  private var header: String {
    let basis =
      samples.isEmpty
      ? "" : " It rests on \(counted(samples.count, "typical sample")), which every model was run over."
    let names = models.map { "<b>\(shortName($0.path).escaped)</b>" }
    let how = isMerge ? hasDepth ? "Merged layer by layer" : "Merged as a whole" : "Compared layer by layer"
    let list = names.count > 1 ? "\(names.dropLast().joined(separator: ", ")) and \(names[names.count - 1])" : names[0]
    return """
      <header>
      <p class="kicker">Recall</p>
      <h1>\(title.escaped)</h1>
      <p class="lead">\(how): \(list).\(basis)</p>
      </header>
      """
  }

  private var notices: String {
    guard !warnings.isEmpty else { return "" }
    return """
      <section class="warning" aria-labelledby="warning">
      <h2 id="warning">These models are far apart</h2>
      \(warnings.map { "<p>\($0.escaped)</p>" }.joined(separator: "\n"))
      </section>
      """
  }

  private var modelList: String {
    let items = models.enumerated().map { index, model in
      let anchor = model.isAnchor ? " <span class=\"chip\">anchor</span>" : ""
      let note = model.note.isEmpty ? "" : "<span class=\"note\">\(model.note.escaped)</span>"
      return """
        <li>\(badge(index))<span class="who"><b><bdi>\(shortName(model.path).escaped)</bdi></b>\(anchor)\
        <span class="path"><bdi>\(model.path.escaped)</bdi></span>\(note)</span></li>
        """
    }
    return """
      <section aria-labelledby="models">
      <h2 id="models">The models</h2>
      <p>Numbers, colours and marks mean these models on the whole page.</p>
      <ol class="models">
      \(items.joined(separator: "\n"))
      </ol>
      </section>
      """
  }

  private var similarityOverDepth: String {
    guard comparesModels else { return "" }
    let to = anchor.map { "the anchor [\($0 + 1)]" } ?? "the other models, on average"
    let known = layers.compactMap(\.unrelated)
    let floor =
      known.isEmpty
      ? "" : " The dashed line is what unrelated vectors would have: models that come near it share little there."
    let chart = DepthChart(
      id: "similarity-chart", title: "Similarity to \(to) over depth", layers: layers.map(\.name),
      series: models.indices.map { model in layers.map { $0.scores[model] } }, highest: 1,
      reference: known.count == layers.count ? (known, "unrelated") : nil)
    let table = HeatTable(
      caption: "Similarity to \(to)", layers: layers.map(\.name), values: layers.map(\.scores), highest: 1)
    return """
      <section aria-labelledby="similarity-title">
      <h2 id="similarity-title">How alike the models are</h2>
      <p>1 means that a model's hidden states equal those of \(to); fine-tunes of one base agree in shallow layers and \
      part in deep ones.\(floor)</p>
      <div class="pair">
      \(chart.html)
      \(table.html)
      </div>
      </section>
      """
  }

  private var pairMaps: String {
    guard comparesPairs else { return "" }
    return PairMaps(layers: layers.map(\.name), similarity: layers.map(\.similarity)).html
  }

  private var weightsOverDepth: String {
    guard layers.contains(where: { !$0.weights.isEmpty }) else { return "" }
    let most = layers.flatMap(\.weights).max() ?? 1
    let table = HeatTable(
      caption: "Weight of each model", layers: layers.map(\.name), values: layers.map(\.weights), highest: most)
    guard hasDepth else {
      return """
        <section aria-labelledby="weights-title">
        <h2 id="weights-title">What the merge was made of</h2>
        <p>Every tensor was made of all models by these weights.</p>
        <div class="pair">
        \(table.html)
        </div>
        </section>
        """
    }
    let equal = 1 / Double(models.count)
    let chart = DepthChart(
      id: "weight-chart", title: "Weight of each model over depth", layers: layers.map(\.name),
      series: models.indices.map { model in layers.map { $0.weights[model] } }, highest: most,
      reference: ([Double](repeating: equal, count: layers.count), "equal"))
    let verb = isMerge ? "was made of" : "would be made of"
    return """
      <section aria-labelledby="weights-title">
      <h2 id="weights-title">\(isMerge ? "What each layer was made of" : "What a merge would take from each")</h2>
      <p>Every layer \(verb) all models by these weights; the dashed line is an equal share.</p>
      <div class="pair">
      \(chart.html)
      \(table.html)
      </div>
      </section>
      """
  }

  private var historyList: String {
    guard !history.isEmpty else { return "" }
    let merges = history.map { merge in
      let parts = merge.models.map { model in
        """
        <li><span class="bar"><i style="width:\(fixed(max(0, min(1, model.weight)) * 100, digits: 1))%"></i></span>\
        <span>\(fixed(model.weight, digits: 3))</span> <bdi title="\(model.path.escaped)">\
        \(shortName(model.path).escaped)</bdi>\(model.isAnchor ? " <span class=\"chip\">anchor</span>" : "")</li>
        """
      }
      return """
        <li><b><bdi>\(shortName(merge.path).escaped)</bdi></b>
        <span class="path"><bdi>\(merge.path.escaped)</bdi></span>
        <ul>
        \(parts.joined(separator: "\n"))
        </ul>
        <p class="note">\(counted(merge.samples, "typical sample")) kept in recall.json</p></li>
        """
    }
    return """
      <section aria-labelledby="history">
      <h2 id="history">How it came about</h2>
      <p>Earlier merges that these models came from, oldest first; bars and numbers are weights, averaged over the \
      layers.</p>
      <ol class="history">
      \(merges.joined(separator: "\n"))
      </ol>
      </section>
      """
  }

  private var sampleList: String {
    guard !samples.isEmpty else { return "" }
    let rows = samples.prefix(MergePage.mostSamples).map { sample in
      let text =
        sample.text.count > MergePage.longestExcerpt
        ? sample.text.prefix(MergePage.longestExcerpt) + "…" : Substring(sample.text)
      return """
        <tr><th scope="row">\(sample.index)</th><td>\(sample.clusterSize.map(String.init) ?? "")</td>\
        <td><bdi>\(String(text).escaped)</bdi></td></tr>
        """
    }
    let rest = samples.count - rows.count
    return """
      <section>
      <details>
      <summary>The \(counted(samples.count, "typical sample"))</summary>
      <div class="scroll"><table class="samples">
      <thead><tr><th scope="col">number</th><th scope="col">stands for</th><th scope="col">text</th></tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div>
      \(rest > 0 ? "<p>and \(rest) more in recall.json</p>" : "")
      </details>
      </section>
      """
  }

  private var optionList: String {
    let rows = options.map { option in
      "<div><dt>\(option.name.escaped)</dt><dd><bdi>\(option.value.escaped)</bdi></dd></div>"
    }
    return """
      <section>
      <details>
      <summary>The recipe</summary>
      <dl class="options">
      \(rows.joined(separator: "\n"))
      </dl>
      </details>
      </section>
      """
  }
}

/// The last part of a path, which people call a model by.
func shortName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

/// The number of a model in its colour.
func badge(_ model: Int) -> String { "<span class=\"badge m\(model % DepthChart.colours)\">\(model + 1)</span>" }

/// A count with its noun.
private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
