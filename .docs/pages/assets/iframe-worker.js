/* Search without a server: browsers start no worker from file:, so a hidden frame runs its script. */
(() => {
  if (location.protocol !== "file:") return
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      const inside = this.frame.contentWindow
      inside.postMessage = data => this.tell(data)
      const script = this.frame.contentDocument.createElement("script")
      script.src = address
      script.onload = () => {
        const waiting = this.waiting
        this.waiting = null
        waiting.forEach(data => this.postMessage(data))
      }
      this.frame.contentDocument.body.append(script)
    }

    postMessage(data) {
      if (this.waiting) return void this.waiting.push(data)
      const inside = this.frame.contentWindow
      inside.dispatchEvent(new inside.MessageEvent("message", { data }))
    }

    tell(data) {
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      this.onmessage?.(event)
    }

    terminate() {
      this.frame.remove()
    }
  }
})()
