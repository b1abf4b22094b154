// SPDX-License-Identifier: Apache-2.0
// README.md shows what stands between the marks, and a test compares the two.
// begin README
import Quern
import SystemPackage

struct CountWords: DurableTask {  // a child
    static let type: TaskType = "example.count-words"
    var text: String
    struct Memo: FixedLayoutMemo { var words: UInt64 }
}

struct WordCounter: TaskHandler {
    func execute(_ task: CountWords, in context: TaskContext) async throws -> CountWords.Memo {
        if task.text.isEmpty { throw PermanentError(reason: "empty text", detail: "task \(context.id)") }
        return CountWords.Memo(words: UInt64(task.text.split(separator: " ").count))
    }
}

struct Library: DurableTask {  // the parent
    static let type: TaskType = "example.library"
    var texts: [String]
    struct Memo: CodableMemo { var words: UInt64 = 0, problems = "" }
}

struct Librarian: OrchestratorHandler {
    func execute(_ library: Library, in context: TaskContext) async throws -> NoHandover {
        for text in library.texts { try context.spawnChild(CountWords(text: text)) }
        return NoHandover()  // commits together with the children
    }

    func finalize(_ library: Library, handover: NoHandover, in context: FinalizeContext) async throws -> Library.Memo {
        var total = Library.Memo()
        for try await memo in context.childMemos(of: CountWords.self) { total.words += memo.words }
        total.problems = try await context.failureSummary(classes: 3, samplesPerClass: 3).description
        return total
    }
}

func countWords(_ texts: [String], storeAt path: FilePath) async throws -> Library.Memo {
    let scheduler = try await TaskScheduler(storeAt: path) {
        $0.register(WordCounter())
        $0.register(Librarian(), onChildFailure: .tolerate)
    }
    async let service: Void = scheduler.run()  // a Service, for a ServiceGroup of yours
    let total = try await scheduler.submit(Library(texts: texts)).memo()
    scheduler.triggerGracefulShutdown()
    try await service
    return total
}
// end README
